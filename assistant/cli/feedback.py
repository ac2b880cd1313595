"""The commands by which people teach: label, recalibrate, ignore, undo, and the log of all that.

Nothing that moves a p-value happens before it was shown and agreed to. Everything heavy is imported inside the command
that needs it.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from assistant.acting import acting
from assistant.cli.shared import ConfigOption, JsonOption, RunOption, StoreOption, workspace_of
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.feedback import Proposal
    from assistant.feedback.precision import Period
    from assistant.pipeline import Workspace

feedback_commands = typer.Typer()

ByOption = Annotated[
    str | None, typer.Option("--by", "--who", help="Who says so (default: the setting `user`, or you).")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, for the log.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Apply what is shown without asking.")]
SHOWN = 10  # findings of a proposal


@feedback_commands.command()
def label(
    name: Annotated[str, typer.Argument(metavar="ID", help="A finding such as F12.")],
    label: Annotated[str, typer.Argument(metavar="{anomaly,normal}", help="What it really is.")],
    note: Annotated[str, typer.Option("--note", "--why", help="A remark.")] = "",
    by: ByOption = None,
    yes: YesOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a finding really is, and see what counting false alarms as normal would change; --yes applies it."""
    from assistant import feedback
    from assistant.cli.terminal import give, say

    workspace = workspace_of(config, store)
    with acting(who=by):
        finding = workspace.store.label(name, label, note)
        proposal = feedback.propose(workspace, finding=finding.id)
        if not as_json:
            say(f"{finding.id} ({finding.sample}) is labelled {finding.label}: {finding.state}.")
        revision = _offer(workspace, proposal, note, yes, as_json)
    if as_json:
        give({**finding.to_dict(), "proposal": proposal.to_dict(), "applied": revision})


@feedback_commands.command()
def recalibrate(
    run: RunOption = None,
    why: WhyOption = "",
    by: ByOption = None,
    yes: YesOption = False,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what the labels on a run's model would change in its p-values, and apply it when you agree."""
    from assistant import feedback
    from assistant.cli.terminal import give

    workspace = workspace_of(config, store)
    with acting(who=by):
        proposal = feedback.propose(workspace, run)
        revision = _offer(workspace, proposal, why, yes, as_json)
    if as_json:
        give({**proposal.to_dict(), "applied": revision})


def _offer(workspace: Workspace, proposal: Proposal, why: str, yes: bool, as_json: bool) -> dict[str, Any] | None:
    """Show a proposal and apply it where a person agrees; the revision, or None."""
    from assistant import feedback
    from assistant.cli.terminal import say

    if not as_json:
        _show(proposal)
    if not proposal.pending:
        return None
    if not yes and (as_json or not sys.stdin.isatty() or not typer.confirm("Apply it?", default=False)):
        if not as_json:
            say(f"Nothing is applied yet: anomaly recalibrate --run {proposal.runs[-1]} --yes does it.")
        return None
    revision = feedback.apply(workspace, proposal, why)
    if not as_json:
        say(f"Applied as {revision.id} (sha256 {revision.sha256[:12]}); `anomaly undo` takes it back.")
    return revision.to_dict()


def _show(proposal: Proposal) -> None:
    from assistant.cli.terminal import say, show_table

    say(proposal.sentence)
    if not proposal.pending or not proposal.moved:
        return
    words = {(True, False): "no longer flagged", (False, True): "flagged again", (False, False): ""}
    rows = [(m.finding, m.before, m.after, m.state, words[m.leaves, m.enters]) for m in proposal.moved[:SHOWN]]
    show_table(("finding", "p-value now", "p-value then", "state", ""), rows)
    if len(proposal.moved) > SHOWN:
        say(f"and {len(proposal.moved) - SHOWN} more.")


@feedback_commands.command()
def undo(
    change: Annotated[
        str | None, typer.Argument(metavar="[CHANGE]", help="Such as A7; your latest if left out.")
    ] = None,
    finding: Annotated[str | None, typer.Option("--finding", help="Your latest change about this finding.")] = None,
    why: WhyOption = "",
    by: ByOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a change back exactly: a label, a recalibration, a rule, an incident."""
    from assistant import feedback
    from assistant.cli.terminal import give, say

    workspace = workspace_of(config, store)
    with acting(who=by):
        done = feedback.undo(workspace, change, finding, why)
    return give(done.to_dict()) if as_json else say(f"{done.sentence} (undid {done.change.id}, logged as {done.entry})")


@feedback_commands.command()
def audit(
    finding: Annotated[str | None, typer.Option("--finding", help="Only changes about this finding.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only changes by this person.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the latest first.")] = 50,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who changed what, when and why, with before and after."""
    from assistant.cli.terminal import give, say, show_table

    kept = workspace_of(config, store).store
    if finding is not None:
        finding = kept.finding(finding).id
    kept.note_expired()
    found = kept.changes(finding, limit, who=by)
    if as_json:
        return give([one.to_dict() for one in found])
    if not found:
        return say("Nothing has been changed." if finding is None else f"Nothing has been changed about {finding}.")
    rows = [
        (c.id, c.created, c.who, c.via, f"{c.action} {c.subject}", changed(c.before, c.after), c.why or "–",
         f"undid {c.undoes}" if c.undoes else f"undone by {c.undone}" if c.undone else "")
        for c in found
    ]  # fmt: skip
    return show_table(("id", "when", "who", "via", "what", "before → after", "why", ""), rows)


def changed(before: dict[str, Any], after: dict[str, Any]) -> str:
    """What differs between before and after, in a line; lists and tables are left to --json."""
    from assistant.cli.terminal import shown

    def told(value: Any) -> str:
        return "–" if value in (None, "") else shown(value)

    keys = [key for key in dict.fromkeys([*before, *after]) if before.get(key) != after.get(key)]
    plain = [key for key in keys if not isinstance(before.get(key, after.get(key)), dict | list)]
    pairs = [(key, told(before.get(key)), told(after.get(key))) for key in plain]
    return ", ".join(f"{key} {a} → {b}" if key in before else f"{key} {b}" for key, a, b in pairs[:4])


@feedback_commands.command()
def ignore(
    kind: Annotated[str, typer.Option("--kind", help="A kind of anomaly, such as scratch.")] = "",
    position: Annotated[str, typer.Option("--position", help="A place in the image, such as 'upper left'.")] = "",
    part: Annotated[str, typer.Option("--part", help="A channel or feature that carries score.")] = "",
    source: Annotated[str, typer.Option("--source", help="Words of the source's path or the sample's name.")] = "",
    reason: Annotated[str, typer.Option("--reason", "--why", help="Why it may be ignored.")] = "",
    until: Annotated[str, typer.Option("--until", help="2026-12-31, friday, '3 weeks' or an ISO time.")] = "",
    remove: Annotated[str | None, typer.Option("--remove", help="Remove this rule, such as 2.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="List also rules that expired or were removed.")] = False,
    by: ByOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Ignore a kind of anomaly at a place until a day, for a reason; without options, list the rules in force."""
    from assistant.cli.terminal import give, say

    workspace = workspace_of(config, store)
    kept = workspace.store
    with acting(who=by):
        if remove is not None:
            entry = kept.remove_rule(remove, reason)
            one = kept.rule(remove)
            return give({**one.to_dict(), "entry": entry}) if as_json else say(f"{one.id.capitalize()} is removed.")
        kept.note_expired()
        if not any((kind, position, part, source)):
            if reason or until:
                raise AnomalyError("Say what is to be ignored: --kind, --position, --part or --source.")
            return _list_rules(workspace, all_, as_json)
        if not until:
            raise AnomalyError("Say until when, such as --until 2026-12-31: rules that never end are forgotten.")
        from assistant.kinds import load_kinds

        named = load_kinds(workspace.config.kinds).called(kind) or kind if kind else ""
        rule = kept.add_rule(reason, until, named, position, part, source)
    count = kept.count_ignored().get(rule.id, 0)
    if as_json:
        return give({**rule.to_dict(), "findings": count})
    return say(f"{rule.id.capitalize()}: {rule.what} is ignored until {rule.expires[:10]} ({rule.reason}); "
               f"it covers {count} finding{'' if count == 1 else 's'} now.")  # fmt: skip


def _list_rules(workspace: Workspace, all_: bool, as_json: bool) -> None:
    from assistant.cli.terminal import give, say, show_table

    rules, counts = workspace.store.rules(all_), workspace.store.count_ignored()
    if as_json:
        return give([{**rule.to_dict(), "findings": counts.get(rule.id, 0)} for rule in rules])
    if not rules:
        return say("No rule is in force: nothing is ignored.")
    rows = [(r.id, r.what, r.expires[:10], r.reason, r.who, counts.get(r.id, 0), "removed" if r.removed else "")
            for r in rules]  # fmt: skip
    return show_table(("rule", "ignores", "until", "because", "by", "findings", ""), rows)


def ignored_sentence(workspace: Workspace, run: str | None) -> str:
    """How many findings which rules cover, openly; "" where none does."""
    counts = workspace.store.count_ignored(run)
    told = []
    for name, count in counts.items():
        rule = workspace.store.rule(name)
        told.append(
            f"{count} finding{'' if count == 1 else 's'} ignored by {name} until {rule.expires[:10]}: {rule.reason}"
        )
    return "; ".join(told)


# --- how it goes ------------------------------------------------------------------------------------------------------


@feedback_commands.command()
def precision(
    by: Annotated[str, typer.Option("--by", help="day or week, of the detection.")] = "week",
    run: Annotated[str | None, typer.Option("--run", help="Only alarms of this run (default: all).")] = None,
    since: Annotated[str | None, typer.Option("--since", help="First day, such as 2026-11-01.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Last day.")] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw it: .png, .svg or .pdf.")] = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell how good the alarms were: the share confirmed among those labelled, over time, with 95 % intervals."""
    from assistant.cli.terminal import give, say, show_table
    from assistant.feedback import precision as told

    kept = workspace_of(config, store).store
    periods = told.precision(kept, by, kept.run(run).id if run else None, since, until)
    drawn = told.draw(periods, figure) if figure is not None else None
    if as_json:
        return give({"periods": [one.to_dict() for one in periods], "figure": str(drawn) if drawn else None})
    if not periods:
        return say("No alarm was raised in that time.")
    rows = [(p.name, p.findings, p.labelled, p.confirmed, p.false_alarms, *_shares(p)) for p in periods]
    show_table(("when", "alarms", "labelled", "confirmed", "false", "precision", "95 % interval"), rows)
    say(told.sentence(periods[-1]))
    return say(f"Drawn: {drawn}") if drawn else None


def _shares(period: Period) -> tuple[str, str]:
    if period.precision is None:
        return "–", "–"
    low, high = period.interval
    return f"{100 * period.precision:.0f} %", f"{100 * low:.0f} to {100 * high:.0f} %"


@feedback_commands.command()
def suggestions(
    run: RunOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what the labels so far are enough for: recalibrating, fitting again, a kind of your own, a rule."""
    from assistant.cli.terminal import give, say
    from assistant.feedback.suggestions import suggestions as found

    told = found(workspace_of(config, store).store, run)
    if as_json:
        return give([one.to_dict() for one in told])
    if not told:
        return say("The labels so far are not enough for anything new.")
    for one in told:
        say(f"{one.sentence}\n  {one.command}")
    return None


@feedback_commands.command()
def refit(
    out: Annotated[Path, typer.Option("--out", help="Folder for the new model; the old one stays.")],
    run: RunOption = None,
    with_labels: Annotated[
        bool,
        typer.Option("--with-labels", help="False alarms join the normals; confirmed ones are shown as anomalies."),
    ] = False,
    source: Annotated[str | None, typer.Option("--source", help="The normals, if the model's own have moved.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a model that is already in --out.")] = False,
    test: Annotated[
        bool, typer.Option("--self-test/--no-self-test", help="Plant anomalies into held-out normals and look.")
    ] = True,
    why: WhyOption = "",
    by: ByOption = None,
    store: StoreOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a run's model again on its normals, with what people have labelled since, into a new folder."""
    from assistant.cli.terminal import give, progress, remark, say
    from assistant.feedback.refit import refit as fit_again

    workspace = workspace_of(config, store)
    with acting(who=by), progress(not as_json) as tell:
        made = fit_again(workspace, out, run, with_labels, source, tell, force, test, why)
    if as_json:
        return give({**asdict(made), "model": str(out)})
    for note in made.notes:
        remark(note)
    return say(
        f"{out}: fitted on {made.info['n_fit']} and calibrated on {made.info['n_calibration']}, with "
        f"{len(made.normals)} false alarms among the normals and {len(made.anomalies)} confirmed anomalies shown. "
        f"Use it: anomaly detect SOURCE --model {out}"
    )
