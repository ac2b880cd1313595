"""The command `anomaly`: one function a command.

Everything heavy is imported inside the command that needs it, so that `anomaly --help` answers at once.
"""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer

from assistant.acting import acting
from assistant.cli.feedback import feedback_commands, ignored_sentence
from assistant.cli.library import library
from assistant.cli.shared import (
    DIFFERS,
    ConfigOption,
    HostOption,
    JsonOption,
    LlmOption,
    OpenOption,
    PortOption,
    RunOption,
    StoreOption,
    guarded,
    parse_settings,
    settings_of,
    wait_at,
    workspace_of,
)
from assistant.cli.watch import watching
from detectors.errors import AnomalyError

app = typer.Typer(
    name="anomaly",
    help="Find anomalies in images, series, tables, clips and several of these together; talk about what was found.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(library)
app.add_typer(feedback_commands)
app.add_typer(watching)


# --- data in --------------------------------------------------------------------------------------------------------


@app.command()
def demo(
    folder: Annotated[Path, typer.Option("--folder", help="Where the case is kept.")] = Path("anomaly-demo"),
    llm: LlmOption = None,
    host: HostOption = None,
    port: PortOption = None,
    open_page: OpenOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the chat on a small built-in case, with everything embedded."""
    from assistant.cli.terminal import progress
    from assistant.demo import open_demo

    if store is not None:
        raise AnomalyError("The demo keeps its own store; use --folder to say where.")
    settings = settings_of(config, llm=llm, host=host, port=port)
    with progress(not as_json) as tell:
        address = open_demo(
            folder,
            settings.llm,
            settings.host,
            settings.port,
            progress=tell,
            config=settings,
            open_browser=open_page,
            block=False,
        )
    wait_at(address, as_json)


@app.command()
def fit(
    source: Annotated[str, typer.Argument(help="Normal data: a folder (images, clips, parts), a data file or a clip.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the model.")],
    modality: Annotated[
        str | None, typer.Option("--modality", help="image, series, table, video or multimodal; guessed if left out.")
    ] = None,
    method: Annotated[str, typer.Option("--method", help="One of `anomaly methods`.")] = "default",
    given: Annotated[list[str] | None, typer.Option("--set", help="A setting, key=value; may be repeated.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is already there.")] = False,
    test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", help="Plant anomalies into held-out normals and look.")
    ] = True,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Learn what is normal, and keep it as a model."""
    from assistant.cli.terminal import give, progress, remark, say, show_notes
    from assistant.pipeline import fit_model, unfinished

    settings = {"device": settings_of(config, store=store).device, **parse_settings(given or [])}
    try:
        with progress(not as_json) as tell:
            info = fit_model(source, out, modality, method, settings, tell, force, test)
    except KeyboardInterrupt:
        if unfinished(out).is_dir():
            remark(f"What was learned so far is in {unfinished(out)}; the same command goes on from there.")
        raise
    if as_json:
        return give({**info, "model": str(out)})
    show_notes(info["notes"], info["skipped"])
    say(
        f"{out}: {info['modality']} model, method {info['method']}, fitted on {info['n_fit']} and calibrated on "
        f"{info['n_calibration']} in {info['fit_seconds']:.0f} s."
    )
    if info.get("self_test"):
        say(info["self_test"]["sentence"])
    if info.get("limit"):
        say(info["limit"])
    return None


@app.command()
def detect(
    source: Annotated[str, typer.Argument(help="New data of the model's kind.")],
    model: Annotated[Path, typer.Option("--model", help="Folder of a fitted model.")],
    alpha: Annotated[float | None, typer.Option("--alpha", help="Flag p-values up to this (default: 0.01).")] = None,
    fdr: Annotated[
        float | None, typer.Option("--fdr", help="Bound the false-discovery rate of the batch instead.")
    ] = None,
    pictures: Annotated[int | None, typer.Option("--pictures", help="Findings drawn at once (default: 50).")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find what is anomalous in new data; the findings go to the store."""
    from assistant.cli.terminal import give, progress, say, show_findings, show_notes, show_run
    from assistant.pipeline import Workspace, model_folder, run_detection

    settings = settings_of(config, store=store, alpha=alpha, pictures=pictures)
    model = model_folder(model)  # before a store is made
    workspace = Workspace.open(settings, create=True)
    with progress(not as_json) as tell:
        run = run_detection(workspace, source, model, settings.alpha, fdr, tell)
    first = workspace.store.findings(run.id, limit=10)
    if as_json:
        return give({**run.to_dict(), "most_anomalous": [finding.to_dict() for finding in first]})
    show_notes(run.info.get("notes", []), run.skipped)
    show_run(run)
    for sentence in (_recalibrated(run.info, run.alpha), ignored_sentence(workspace, run.id)):
        if sentence:
            say(sentence)
    if first:
        show_findings(first)
        say(f"Ask about them: anomaly ask 'why is {first[0].id} anomalous?', or anomaly chat.")
    return None


def _recalibrated(info: dict[str, Any], alpha: float) -> str:
    """What labels changed, and those that wait."""
    from assistant.cli.terminal import shown

    told = []
    if info.get("relabelled"):
        before, after = shown(info["threshold_before"]), shown(info["threshold"])
        names = ", ".join(info["relabelled"][:10])
        told.append(f"Calibration revision {info.get('revision')} counts {names} as normal: the score flagged at alpha")
        told[-1] += f" {alpha:g} is {after} instead of {before}."
    waiting = info.get("labels_waiting")
    if waiting:
        told.append(f"{waiting} label{'' if waiting == 1 else 's'} not in it yet: see anomaly recalibrate.")
    return " ".join(told)


# --- what was found -------------------------------------------------------------------------------------------------


@app.command()
def findings(
    run: RunOption = None,
    order: Annotated[str, typer.Option("--order", help="p_value, score, index or created.")] = "p_value",
    descending: Annotated[bool, typer.Option("--descending", help="Largest first.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many.")] = 20,
    offset: Annotated[int, typer.Option("--offset", min=0, help="How many to leave out first.")] = 0,
    state: Annotated[
        str | None, typer.Option("--state", help="new, confirmed, 'false alarm' or 'in incident'.")
    ] = None,
    part: Annotated[str | None, typer.Option("--part", help="A channel or feature that carries score.")] = None,
    kind: Annotated[str | None, typer.Option("--kind", help="A kind of anomaly, such as scratch or spike.")] = None,
    search: Annotated[str | None, typer.Option("--search", help="Text in the sample's name or note.")] = None,
    max_p: Annotated[float | None, typer.Option("--max-p", help="Largest p-value.")] = None,
    ignored: Annotated[
        bool, typer.Option("--ignored", help="Those that a rule covers, instead of the others.")
    ] = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List findings, the most anomalous first."""
    from assistant.cli.terminal import give, say, show_findings

    workspace = workspace_of(config, store)
    one = workspace.store.run(run)
    filters = {"state": state, "part": part, "kind": kind, "search": search, "max_p": max_p}
    filters |= {"ignored": ignored}
    found = workspace.store.findings(one.id, order, descending, limit, offset, **filters)
    total = workspace.store.count_findings(one.id, **filters)
    if as_json:
        return give({"run": one.id, "matching": total, "findings": [finding.to_dict() for finding in found]})
    if found:
        show_findings(found)
    say(f"{len(found)} of {total} findings in {one.id}.")
    hidden = ignored_sentence(workspace, one.id)
    if hidden:
        say(f"{hidden}." if ignored else f"{hidden} (see --ignored).")
    return None


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="A finding F12, run R1, incident I1 or evidence E7.")],
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one finding, run, incident or piece of evidence."""
    from assistant.cli import terminal

    kept = workspace_of(config, store).store
    letter = name.strip()[:1].upper()
    if letter == "I":
        incident = kept.incident(name)
        members = kept.findings(limit=None, incident=incident.id)
        return terminal.give(incident.to_dict()) if as_json else terminal.show_incident(incident, members)
    if letter == "R":
        run = kept.run(name)
        return terminal.give(run.to_dict()) if as_json else terminal.show_run(run)
    if letter == "E":
        evidence = kept.evidence(name)
        return terminal.give(evidence.to_dict()) if as_json else terminal.show_evidence(evidence)
    finding = kept.finding(name)
    return terminal.give(finding.to_dict()) if as_json else terminal.show_finding(finding)


# --- talk -----------------------------------------------------------------------------------------------------------


@app.command()
def chat(
    llm: LlmOption = None,
    host: HostOption = None,
    port: PortOption = None,
    open_page: OpenOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Open the chat on the store."""
    settings = settings_of(config, store=store, llm=llm, host=host, port=port)
    workspace = workspace_of(config, store, llm=llm, host=host, port=port)
    from assistant.chat import serve

    address = serve(workspace, settings.llm, settings.host, settings.port, open_browser=open_page, block=False)
    wait_at(address, as_json)


@app.command()
def ask(
    question: Annotated[str, typer.Argument(help="What you want to know.")],
    llm: LlmOption = None,
    finding: Annotated[str | None, typer.Option("--finding", help="The finding that 'it' means.")] = None,
    thread: Annotated[str | None, typer.Option("--thread", help="Go on with the conversation of this name.")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one question; every figure in the answer cites its evidence."""
    from assistant.cli.terminal import give, show_answer

    if not question.strip():
        raise AnomalyError("The question is empty.")
    workspace = workspace_of(config, store, llm=llm)
    focus = workspace.store.finding(finding).id if finding else None
    from assistant.agent import Assistant

    answer = Assistant(workspace, workspace.config.llm, thread or f"ask-{uuid.uuid4().hex[:12]}").ask(
        question, focus=focus
    )
    return give(answer.to_dict()) if as_json else show_answer(answer)


@app.command()
def report(
    out: Annotated[Path, typer.Option("--out", help="FILE.html, .pdf, .md or .json.")],
    incident: Annotated[str | None, typer.Option("--incident", help="An incident such as I1.")] = None,
    finding: Annotated[list[str] | None, typer.Option("--finding", help="A finding; may be repeated.")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report in which every figure can be traced."""
    from assistant.cli.terminal import give, say
    from assistant.report import write_report

    if incident and finding:
        raise AnomalyError("A report is about an incident or about findings; give --incident or --finding, not both.")
    written = write_report(workspace_of(config, store), out, incident, finding or None)
    return give({"report": str(written)}) if as_json else say(f"Written: {written}")


@app.command("verify-report")
def verify_report(
    file: Annotated[Path, typer.Argument(help="A report as .html, .md or .json.")],
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Gather a report's figures again from the store and say what no longer holds (exit code 3)."""
    from dataclasses import asdict

    from assistant.cli.terminal import give, show_checked
    from assistant.report.check import check_report

    checked = check_report(workspace_of(config, store), file)
    give({**asdict(checked), "holds": checked.holds}) if as_json else show_checked(checked)
    if not checked.holds:
        raise typer.Exit(DIFFERS)


# --- the door ---------------------------------------------------------------------------------------------------------


def _version(asked: bool) -> None:
    if asked:
        from assistant import __version__

        print(f"anomaly-assistant {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """The console script."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    with acting(via="command line"):
        return guarded(lambda given: app(args=given, standalone_mode=False), arguments)


if __name__ == "__main__":
    main()
