"""Small made-up stores for the question cases: what the tools would say, without detectors, files or a database.

`build(name)` gives a `MadeStore`; its `tools(log)` are LangChain tools of the real names and arguments whose text is
rendered evidence. Knows evidence and the tool contract; not the store, the agent or the narrator.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool

from assistant.evals.made_findings import Batch, Case, Spot, lonely, machine, part_names, parts, payments
from assistant.evidence import Evidence, Fact, ToolResult, render, subjects_of

METHODS = ("partial", "multi_start", "diffusion_time")
MAP = "A map shows where the score comes from: 1 is the highest value that normal samples reach, above it is unusual."
GUIDES = {
    "p-value": "A p-value is the share of normal samples that look at least as unusual as this one. Small means rare "
    "among normal samples; it is not the probability of a defect.",
    "alpha": "Alpha is the limit for p-values: samples whose p-value is at most alpha are flagged, so about that share "
    "of normal samples is flagged too.",
    "map": MAP,
    "methods": "A diffusion model learns what normal samples look like; a sample is scored by how far the model has to "
    "change it to make it normal.",
    "score": "The score grows with the distance from what the model holds for normal; only its p-value is comparable.",
    "help": "I can list and explain findings, show where they lie, compare them, find similar ones, try what-ifs and "
    "write incident summaries. I cannot see who or what caused them outside the data.",
}


class MadeStore:
    """The batches of one store and the tools over them."""

    def __init__(self, name: str, batches: tuple[Batch, ...]):
        self.name = name
        self.batches = {batch.id: batch for batch in batches}
        self.cases = {case.id: case for batch in batches for case in batch.cases}
        self.home = {case.id: batch for batch in batches for case in batch.cases}
        self.incidents: dict[str, list[str]] = {}
        self.labels: dict[str, str] = {}

    @property
    def latest(self) -> Batch:
        return list(self.batches.values())[-1]

    def tools(self, log: list[Evidence]) -> list[BaseTool]:
        """LangChain tools; each call appends its evidence to `log`."""
        return [_wrap(name, getattr(self, name), log) for name in NAMES]

    # --- reading ----------------------------------------------------------------------------------------------

    def overview(self, run: str | None = None) -> ToolResult:
        """What a run holds: how many samples and findings, the most anomalous one, which parts are involved."""
        batch = self._batch(run)
        facts = [
            Fact(batch.id, "source", batch.source),
            Fact(batch.id, "created", batch.created),
            Fact(batch.id, "modality", batch.modality),
            Fact(batch.id, "method", batch.method),
            Fact(batch.id, "alpha", batch.alpha),
            Fact(batch.id, "samples", len(batch.names) or 4320),
            Fact(batch.id, "findings", len(batch.cases)),
            Fact(batch.id, "flagged_share", 100 * len(batch.cases) / (len(batch.names) or 4320), "%"),
        ]
        if batch.modality != "image" and batch.modality != "table":
            facts = [fact for fact in facts if fact.field != "flagged_share"]
        facts.append(Fact("store", "runs", len(self.batches)))
        if not batch.cases:
            note = f"Nothing was flagged in {batch.id}: no sample is anomalous at alpha {batch.alpha:g}."
            return ToolResult(facts, note=note)
        first = min(batch.cases, key=lambda case: case.p)
        facts += [Fact(batch.id, "most_anomalous", first.id), Fact(batch.id, "lowest_p_value", first.p)]
        facts += [Fact(first.id, "sample", first.sample), Fact(batch.id, "new_findings", len(batch.cases))]
        for name, count in self._part_counts(batch).items():
            facts.append(Fact(f"{batch.id}/{name}", "findings", count))
        return ToolResult(facts)

    def list_findings(
        self,
        run: str | None = None,
        order: str = "p_value",
        descending: bool = False,
        limit: int = 10,
        offset: int = 0,
        state: str | None = None,
        part: str | None = None,
        position: str | None = None,
        search: str | None = None,
        max_p: float | None = None,
    ) -> ToolResult:
        """Findings of a run, sorted and filtered."""
        batch = self._batch(run)
        keep = [
            case
            for case in batch.cases
            if (part is None or part in _part_names(case))
            and (position is None or any(spot.position == position for spot in case.spots))
            and (max_p is None or case.p <= max_p)
            and (search is None or search.lower() in case.sample.lower())
            and (state is None or self._state(case) == state)
        ]
        keys: dict[str, Callable[[Case], Any]] = {
            "p_value": lambda case: case.p,
            "score": lambda case: case.score,
            "index": lambda case: case.index,
        }
        keep = sorted(keep, key=keys.get(order, lambda case: case.id), reverse=descending)[offset : offset + limit]
        facts = [
            Fact(batch.id, "findings", len(batch.cases)),
            Fact(batch.id, "matching", len(keep)),
            Fact(batch.id, "shown", len(keep)),
            Fact(batch.id, "alpha", batch.alpha),
        ]
        for case in keep:
            facts += [
                Fact(case.id, "sample", case.sample),
                Fact(case.id, "p_value", case.p),
                Fact(case.id, "score", case.score),
                Fact(case.id, "state", self._state(case)),
            ]
            for spot in case.spots[:1]:
                facts += _spot_facts(case, spot)[:1]
            if batch.modality != "image":
                facts.append(Fact(case.id, "main_part", case.causes[0].name))
        note = "" if keep else f"0 of {len(batch.cases)} findings in {batch.id} match; none is shown."
        return ToolResult(facts, note=note, status="ok" if keep else "no_data")

    def find_sample(self, name: str, run: str | None = None) -> ToolResult:
        """Any sample by its name, also one that was not flagged."""
        batches = [self._batch(run)] if run else list(self.batches.values())[::-1]
        for batch in batches:
            for index, sample in enumerate(batch.names):
                if _same_name(name, sample):
                    return ToolResult(self._sample_facts(batch, index, sample))
        return ToolResult(status="no_data", note=f"There is no sample {name!r} in this store.")

    def describe_finding(self, finding: str) -> ToolResult:
        """The facts of one finding: score, p-value, places and parts."""
        case = self._case(finding)
        return ToolResult(self._case_facts(case) + _place_facts(case))

    def show_map(self, finding: str) -> ToolResult:
        """Where the score of a finding lies."""
        case = self._case(finding)
        return ToolResult(self._case_facts(case)[:3] + _place_facts(case), pictures=[f"{finding}/overlay.png"])

    def explain_finding(self, finding: str) -> ToolResult:
        """Ranked parts, observed against expected, and what normal would be."""
        case = self._case(finding)
        facts = self._case_facts(case) + _place_facts(case)
        facts += [
            Fact(case.id, "counterfactual_score", case.score * 0.2),
            Fact(case.id, "counterfactual_p_value", case.normal_p),
            Fact(case.id, "returns_to_normal", case.returns),
        ]
        return ToolResult(facts)

    def compare_findings(self, first: str, second: str) -> ToolResult:
        """Two findings side by side."""
        one, two = self._case(first), self._case(second)
        facts = [fact for case in (one, two) for fact in self._case_facts(case) + _place_facts(case)]
        facts.append(Fact(f"{first} vs {second}", "similarity", one.similar.get(second, 0.12)))
        return ToolResult(facts)

    def compare_with_normal(self, finding: str) -> ToolResult:
        """A finding beside the normal samples of its run."""
        case = self._case(finding)
        facts = self._case_facts(case) + _place_facts(case)
        return ToolResult([*facts, Fact(case.id, "normal_median_score", 0.81), Fact(case.id, "normal_max_score", 1.32)])

    def find_similar(self, finding: str, limit: int = 5) -> ToolResult:
        """Findings that look like this one."""
        case = self._case(finding)
        others = {key: case.similar.get(key, 0.1) for key in self.cases if key != finding}
        facts = [Fact(case.id, "sample", case.sample)]
        for key in sorted(others, key=lambda key: -others[key])[:limit]:
            facts += [
                Fact(f"{finding} vs {key}", "similarity", others[key]),
                Fact(key, "sample", self.cases[key].sample),
                Fact(key, "run", self.home[key].id),
                Fact(key, "p_value", self.cases[key].p),
                Fact(key, "state", self._state(self.cases[key])),
            ]
        if not others:
            return ToolResult(status="no_data", note=f"{finding} is the only finding of its model.")
        return ToolResult(facts)

    def read_guide(self, topic: str) -> ToolResult:
        """How to read p-values, maps and methods; what the assistant can do."""
        return ToolResult(note=GUIDES.get(topic, MAP))

    # --- trying -----------------------------------------------------------------------------------------------

    def what_if_repaired(self, finding: str, region: str | None = None, part: str | None = None) -> ToolResult:
        """Repair one region, channel or feature and score again."""
        case = self._case(finding)
        shares = {spot.name: spot.share for spot in case.spots} | {cause.name: cause.share for cause in case.causes}
        name = region or part
        if name is not None and name not in shares:
            return ToolResult(status="error", note=f"{finding} has no part {name!r}; it has {', '.join(shares)}.")
        return self._again(case, 1.0 if name is None else shares[name] / 100, case.returns, "repaired", name or "all")

    def what_if_without(self, finding: str, part: str) -> ToolResult:
        """Score again without one channel or feature."""
        case = self._case(finding)
        shares = {cause.name: cause.share for cause in case.causes}
        if part not in shares:
            return ToolResult(status="error", note=f"{finding} has no part {part!r}; it has {', '.join(shares)}.")
        return self._again(case, shares[part] / 100, case.returns, "left_out", part)

    def what_if_alpha(self, alpha: float, run: str | None = None) -> ToolResult:
        """How many would be flagged at another limit."""
        batch = self._batch(run)
        left = [case.id for case in batch.cases if case.p <= alpha]
        more = 0 if alpha <= batch.alpha else round(len(batch.names or [0] * 600) * (alpha - batch.alpha))
        return ToolResult(
            [
                Fact(batch.id, "alpha", alpha),
                Fact(batch.id, "before_alpha", batch.alpha),
                Fact(batch.id, "before_findings", len(batch.cases)),
                Fact(batch.id, "after_findings", len(left) + more),
            ]
        )

    def what_if_method(self, finding: str, method: str) -> ToolResult:
        """Score with one member of the hybrid."""
        case = self._case(finding)
        if method not in METHODS:
            return ToolResult(status="error", note=f"This model has no member {method!r}; it has {', '.join(METHODS)}.")
        return self._again(case, 0.01 * (1 + METHODS.index(method)), False, "method", method)

    # --- changing ---------------------------------------------------------------------------------------------

    def label_finding(self, finding: str, label: str, note: str = "") -> ToolResult:
        """Write down what a person says about a finding: anomaly or normal."""
        case = self._case(finding)
        self.labels[finding] = label
        facts = [Fact(case.id, "sample", case.sample), Fact(case.id, "label", label)]
        facts += [Fact(case.id, "state", self._state(case)), Fact(case.id, "p_value", case.p)]
        return ToolResult([*facts, Fact(case.id, "note", note)] if note else facts)

    def summarise_incident(
        self, findings: list[str] | None = None, run: str | None = None, incident: str | None = None
    ) -> ToolResult:
        """Group findings into an incident and say what it holds."""
        batch = self._batch(run)
        chosen = findings or [case.id for case in batch.cases]
        if not chosen:
            return ToolResult(status="no_data", note=f"{batch.id} has no findings to summarise.")
        key = incident or f"I{len(self.incidents) + 1}"
        self.incidents[key] = chosen
        first = min((self._case(name) for name in chosen), key=lambda case: case.p)
        facts = [
            Fact(key, "findings", len(chosen)),
            Fact(key, "most_anomalous", first.id),
            Fact(key, "lowest_p_value", first.p),
        ]
        for name in chosen:
            facts += [Fact(name, "sample", self.cases[name].sample), Fact(name, "p_value", self.cases[name].p)]
        return ToolResult(facts)

    # --- parts ------------------------------------------------------------------------------------------------

    def _batch(self, run: str | None) -> Batch:
        if run is None:
            return self.latest
        if run not in self.batches:
            raise KeyError(f"There is no run {run}; this store holds {', '.join(self.batches)}.")
        return self.batches[run]

    def _case(self, finding: str) -> Case:
        if finding not in self.cases:
            raise KeyError(f"There is no finding {finding}; this store holds F1 to F{len(self.cases)}.")
        return self.cases[finding]

    def _state(self, case: Case) -> str:
        return {"normal": "false alarm", "anomaly": "confirmed"}.get(self.labels.get(case.id, ""), "new")

    def _case_facts(self, case: Case) -> list[Fact]:
        batch = self.home[case.id]
        return [
            Fact(case.id, "sample", case.sample),
            Fact(case.id, "p_value", case.p),
            Fact(case.id, "alpha", batch.alpha),
            Fact(case.id, "index", case.index),
            Fact(case.id, "modality", batch.modality),
            Fact(case.id, "run", batch.id),
            Fact(case.id, "score", case.score),
            Fact(case.id, "extrapolated", case.p < 0.001),
            Fact(case.id, "regions", len(case.spots)),
            Fact(case.id, "state", self._state(case)),
        ]

    def _sample_facts(self, batch: Batch, index: int, sample: str) -> list[Fact]:
        case = next((case for case in batch.cases if case.sample == sample), None)
        p, score = (case.p, case.score) if case else (0.05 + (index * 37 % 90) / 100 + 0.0042, 0.4 + index % 7 / 10)
        subject = f"sample {sample}"
        facts = [
            Fact(subject, "run", batch.id),
            Fact(subject, "index", index),
            Fact(subject, "score", score),
            Fact(subject, "p_value", p),
            Fact(subject, "alpha", batch.alpha),
            Fact(subject, "flagged", case is not None),
        ]
        return [*facts, Fact(subject, "finding", case.id)] if case else facts

    def _again(self, case: Case, strength: float, returns: bool, what: str, name: str) -> ToolResult:
        batch = self.home[case.id]
        after = case.p + (case.normal_p - case.p) * strength
        facts = [
            Fact(case.id, "sample", case.sample),
            Fact(case.id, what, name),
            Fact(case.id, "alpha", batch.alpha),
            Fact(case.id, "before_p_value", case.p),
            Fact(case.id, "after_p_value", after),
            Fact(case.id, "before_score", case.score),
            Fact(case.id, "after_score", case.score * (1 - 0.8 * strength)),
            Fact(case.id, "returns_to_normal", returns and after > batch.alpha),
        ]
        return ToolResult(facts)

    @staticmethod
    def _part_counts(batch: Batch) -> dict[str, int]:
        counts: dict[str, int] = {}
        for case in batch.cases:
            if batch.modality == "image":
                place = f"position {case.spots[0].position}"
                counts[place] = counts.get(place, 0) + 1
            for cause in case.causes:
                if cause.kind != "region" and cause.share > 5:
                    counts[f"{cause.kind} {cause.name}"] = counts.get(f"{cause.kind} {cause.name}", 0) + 1
        return dict(sorted(counts.items(), key=lambda item: -item[1]))


NAMES = (
    "overview", "list_findings", "find_sample", "describe_finding", "show_map", "explain_finding", "compare_findings",
    "compare_with_normal", "find_similar", "read_guide", "what_if_repaired", "what_if_without", "what_if_alpha",
    "what_if_method", "label_finding", "summarise_incident",
)  # fmt: skip


def _wrap(name: str, function: Callable[..., ToolResult], log: list[Evidence]) -> BaseTool:
    def run(**arguments: Any) -> tuple[str, Evidence]:
        try:
            found = function(**arguments)
        except KeyError as error:
            found = ToolResult(status="error", note=str(error.args[0]))
        made = Evidence(
            f"E{len(log) + 1}",
            name,
            _given(arguments),
            found.status,
            found.facts,
            subjects_of(found.facts),
            note=found.note,
        )
        log.append(made)
        return render(made), made

    tool = StructuredTool.from_function(function, name=name)
    defaults = {key: one.default for key, one in inspect.signature(function).parameters.items()}

    def _given(arguments: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in arguments.items() if value != defaults.get(key)}

    return StructuredTool(
        name=name,
        description=tool.description,
        args_schema=tool.args_schema,
        func=run,
        response_format="content_and_artifact",
    )


def _same_name(typed: str, sample: str) -> bool:
    def plain(text: str) -> str:
        stem = re.sub(r"\.(png|jpe?g|bmp|tiff?|csv)$", "", text.lower())
        return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9]", "", stem))

    one, two = plain(typed), plain(sample)
    digits = re.sub(r"\D", "", one)
    return one == two or (bool(digits) and digits == re.sub(r"\D", "", two))


def _part_names(case: Case) -> set[str]:
    return {cause.name for cause in case.causes if cause.share > 5}


def _spot_facts(case: Case, spot: Spot) -> list[Fact]:
    subject = f"{case.id}/{spot.name}"
    facts = [Fact(subject, "share", spot.share, "%"), Fact(subject, "peak", 1.0 + spot.share / 20)]
    if spot.box:
        facts.insert(0, Fact(subject, "position", spot.position))
        for key, value in zip(("left", "top", "width", "height"), spot.box, strict=True):
            facts.append(Fact(subject, key, value, "px"))
        facts.append(Fact(subject, "area", spot.area, "px"))
    if spot.span:
        start, end, start_time, end_time = spot.span
        facts.insert(0, Fact(subject, "start_time", start_time))
        facts += [
            Fact(subject, "end_time", end_time),
            Fact(subject, "start", start),
            Fact(subject, "end", end),
            Fact(subject, "length", end - start),
            Fact(subject, "channels", ", ".join(spot.channels)),
        ]
    return facts


def _place_facts(case: Case) -> list[Fact]:
    facts = [fact for spot in case.spots for fact in _spot_facts(case, spot)]
    for cause in case.causes:
        subject = f"{case.id}/{cause.kind} {cause.name}" if cause.kind != "region" else f"{case.id}/{cause.name}"
        if cause.kind != "region":
            facts.append(Fact(subject, "share", cause.share, "%"))
        facts += [
            Fact(subject, "observed", cause.observed, cause.unit),
            Fact(subject, "expected", cause.expected, cause.unit),
        ]
    return facts


# --- the stores ---------------------------------------------------------------------------------------------------


def build(name: str) -> MadeStore:
    """A fresh made-up store: "parts", "machine", "payments", "quiet" (nothing flagged) or "one" (a single finding)."""
    makers: dict[str, Callable[[], tuple[Batch, ...]]] = {
        "parts": parts,
        "machine": machine,
        "payments": payments,
        "quiet": lambda: (Batch("R1", "2026-11-03T22:05:00", "line-b/tuesday", "image", part_names(35), ()),),
        "one": lambda: (Batch("R1", "2026-11-02T21:40:00", "line-a/monday", "image", part_names(48), (lonely(),)),),
    }
    return MadeStore(name, makers[name]())
