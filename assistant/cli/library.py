"""The commands about the library itself: its methods, what they reach, how good answers are, kinds of anomaly.

Everything heavy is imported inside the command that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.cli.shared import ConfigOption, JsonOption, LlmOption, RunOption, StoreOption, settings_of, workspace_of

library = typer.Typer()


@library.command()
def methods(
    modality: Annotated[
        str | None, typer.Option("--modality", help="Only those for image, series, table, video or multimodal.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """List the detection methods, with the network calls that each makes a sample (0: closed form)."""
    from assistant.cli.terminal import give, show_methods
    from detectors.overview import overview

    known = overview(modality)
    return give(known) if as_json else show_methods(known)


@library.command()
def bench(
    what: Annotated[
        list[str] | None, typer.Argument(metavar="[cost|images|multimodal|page|series|tables|video]...")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the public sets.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the figures to this JSON file.")] = None,
    chosen: Annotated[
        str | None, typer.Option("--methods", help="Such as default,score_matching:multiscale (a form after a colon).")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option("--figure", help="Draw accuracy against cost: .png, .svg or .pdf.")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="How many seeds; their spread is shown.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Measure the methods on public data sets: accuracy beside baselines, and what each costs; `page`: how long a
    reader waits."""
    from assistant.cli.terminal import give, progress, say
    from assistant.keeping import keep_json
    from detectors.bench import run_bench

    names = [name.strip() for name in chosen.split(",") if name.strip()] if chosen else None
    topics = [name for name in what or [] if name != "page"]
    result: dict[str, Any] = {}
    with progress(not as_json) as tell:
        if topics or not what:
            result = run_bench(
                topics or None, data=data, out=out, seeds=range(seeds), progress=tell, methods=names, figure=figure
            )
        if "page" in (what or []):
            result["page"] = _page_bench(tell)
    if out is not None:
        keep_json(out, result)
    if as_json:
        return give(result)
    for topic, told in result.items():
        if isinstance(told, dict) and "table" in told:
            costs = f"\n{topic}: accuracy and cost\n{told['costs_table']}\n" if "costs_table" in told else ""
            say(f"{topic}\n{told['table']}\n{costs}")
    return None


def _page_bench(tell: Callable[[float, str], None]) -> dict[str, Any]:
    from assistant.chat import bench as page_bench

    return page_bench.as_json(page_bench.measure(tell=tell), page_bench.FINDINGS)


@library.command("eval")
def evaluate(
    suites: Annotated[list[str] | None, typer.Argument(metavar="[generated|real]...")] = None,
    llm: LlmOption = None,
    cases: Annotated[
        Path | None, typer.Option("--cases", help="Folder of the case files (default: tests/evals).")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="Folder of the public sets, for `real`.")] = None,
    held_out: Annotated[bool, typer.Option("--held-out", help="The cases that are run only at the end.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="The first cases only.")] = False,
    sets: Annotated[
        str | None, typer.Option("--sets", help="Of the suite `real`, such as transistor,smd (default: all).")
    ] = None,
    work: Annotated[
        Path | None, typer.Option("--work", help="Keep the fitted models of `real` here; a second run uses them.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the figures to this JSON file.")] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure explanations and answers against known causes, with any language model."""
    from assistant.cli.terminal import give, progress, remark, say
    from assistant.evals import CASES, SUITES, run_suites
    from assistant.evals.table import Job
    from assistant.keeping import keep_json

    chosen = tuple(name.strip() for name in (sets or "").split(",") if name.strip())
    names = suites or [name for name in SUITES if name != "real" or data is not None]
    with progress(not as_json) as tell:
        model = settings_of(config, llm=llm).llm
        job = Job(cases or CASES, model, held_out, data, quick, tell, chosen, work, remark)
        found = run_suites(names, job)
    if out is not None:
        keep_json(out, found)
    if as_json:
        return give(found)
    for one in found.values():
        say(f"{one['table']}\n")
    return None


@library.command()
def kinds(
    name: Annotated[str | None, typer.Argument(help="A kind of your own, to be made from findings.")] = None,
    finding: Annotated[list[str] | None, typer.Option("--finding", help="A finding of that kind; repeat it.")] = None,
    about: Annotated[str, typer.Option("--about", help="What the kind is, in a sentence.")] = "",
    run: RunOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the known kinds of anomaly, or make one from findings and name the findings of a run anew."""
    from assistant.cli.terminal import give, say, show_table
    from assistant.feedback.own_kinds import make_kind, name_again
    from assistant.kinds import load_kinds

    settings = settings_of(config, store=store)
    if name is None:
        known = [
            {"name": kind.name, "modality": kind.modality, "about": kind.description}
            for kind in load_kinds(settings.kinds).all
        ]
        rows = [(row["name"], row["modality"], row["about"]) for row in known]
        return give(known) if as_json else show_table(("kind", "on", "what it is"), rows)
    workspace = workspace_of(config, store)
    file = make_kind(workspace, name, finding or [], about)
    changed = name_again(workspace, run)
    if as_json:
        return give({"kind": name, "file": str(file), "renamed": changed})
    return say(f"Written: {file}. {len(changed)} finding(s) have another kind now.")
