"""What a good answer says of a tool's result: by reference mostly, in digits at times.

One function a kind of question, result in, sentences out. Knows evidence; not questions, stores or models.
"""

from __future__ import annotations

from assistant.evidence import Evidence, Fact
from assistant.verify.references import spoken

UNANSWERABLE = (
    "I cannot know that from the data. I can explain which findings there are, where they lie and how sure they are."
)
MANNERS = {
    "greet": "Hello. Ask me about the findings: what was flagged, why, and where.",
    "thanks": "You are welcome. Ask again whenever you like.",
    "who": "I am an assistant. I explain what the detector has flagged.",
}
_GUIDES = {
    "p-value": "A p-value is the share of normal samples that look at least as unusual as this one",
    "alpha": "Alpha is the limit for p-values: samples whose p-value is at most alpha are flagged",
    "map": "A map shows where the score comes from",
    "methods": "A diffusion model learns what normal samples look like, and a sample is scored by how far it has to be "
    "changed to become normal",
    "score": "The score grows with the distance from what the model holds for normal",
    "help": "I can list and explain findings, show where they lie, compare them and try what-ifs",
}


def _ref(found: Evidence, subject: str, field: str) -> str:
    return f"{{{{{found.id}.{subject}.{field}}}}}"


def _fact(found: Evidence, field: str, subject: str = "") -> Fact | None:
    return next((f for f in found.facts if f.field == field and subject in ("", f.subject)), None)


def _said(found: Evidence, field: str, subject: str = "") -> str:
    """A value in digits."""
    fact = _fact(found, field, subject)
    return spoken(fact) if fact else ""


def _finding(found: Evidence) -> str:
    return str(found.arguments["finding"])


def _run(found: Evidence) -> str:
    return next(name for name in found.subjects if name.startswith("R"))


def finding_of(found: Evidence) -> str | None:
    """The finding of a looked-up sample; None where it was not flagged or is not there."""
    fact = _fact(found, "finding")
    return str(fact.value) if fact else None


def listed(found: Evidence) -> list[str]:
    """The findings of a list, in its order."""
    return list(dict.fromkeys(fact.subject for fact in found.facts if fact.field == "p_value"))


def nothing(found: Evidence) -> str:
    run = next((name for name in found.subjects if name.startswith("R")), "")
    return f"Nothing was flagged in {run} [{found.id}]." if run else f"Nothing was flagged [{found.id}]."


def overview(found: Evidence) -> str:
    run = _run(found)
    if _fact(found, "most_anomalous") is None:
        return nothing(found)
    first = _said(found, "most_anomalous")
    return (
        f"{run} has {_ref(found, run, 'findings')} findings among {_ref(found, run, 'samples')} samples. "
        f"The most anomalous is {first}, with a p-value of {_ref(found, run, 'lowest_p_value')}."
    )


def share(found: Evidence) -> str:
    run = _run(found)
    flagged, many = _ref(found, run, "flagged_share"), _ref(found, run, "findings")
    return f"{flagged} of the samples of {run} were flagged, {many} findings."


def most_part(found: Evidence) -> str:
    fact = next(f for f in found.facts if "/" in f.subject and f.field == "findings")
    name = fact.subject.partition("/")[2].removeprefix("position ")
    return f"Most findings involve the {name}: {_ref(found, fact.subject, 'findings')}."


def findings(found: Evidence, whole: bool) -> str:
    names = listed(found)
    if not names:
        return nothing(found) if whole else f"None of the findings matches [{found.id}]."
    head = f"There are {_ref(found, _run(found), 'matching')} of them."
    return " ".join([head, *(f"{name} has a p-value of {_ref(found, name, 'p_value')}." for name in names)])


def worst(found: Evidence) -> str:
    name = listed(found)[0]
    return f"The most anomalous is {name}, with a p-value of {_ref(found, name, 'p_value')}."


def which(found: Evidence) -> str:
    return f"Which finding do you mean: {', '.join(listed(found))}?"


def _main(found: Evidence) -> Fact:
    """The share of the part or region that carries most."""
    shares = [f for f in found.facts if f.field == "share" and "/interval" not in f.subject]
    return max(shares, key=lambda fact: float(str(fact.value)))


def _observed(found: Evidence, subject: str) -> str:
    return f"{_ref(found, subject, 'observed')} was observed there and {_ref(found, subject, 'expected')} was expected."


def explained(found: Evidence) -> str:
    name, main = _finding(found), _main(found).subject
    where = f" in the {_said(found, 'position', main)}" if _fact(found, "position", main) else ""
    return (
        f"{name} is unusual in {main.partition('/')[2]}{where}, which carries {_ref(found, main, 'share')} of the "
        f"score. {_observed(found, main)} The p-value of {name} is {_ref(found, name, 'p_value')}."
    )


def blame(found: Evidence) -> str:
    name, main = _finding(found), _main(found).subject
    return (
        f"It is mostly {main.partition('/')[2]} of {name}: it carries {_ref(found, main, 'share')} of the score. "
        f"{_observed(found, main)}"
    )


def expected(found: Evidence) -> str:
    name, main = _finding(found), _main(found).subject
    return (
        f"In {main.partition('/')[2]} of {name}, {_ref(found, main, 'expected')} was expected; observed was "
        f"{_ref(found, main, 'observed')}. The normal version of {name} has a p-value of "
        f"{_ref(found, name, 'counterfactual_p_value')}."
    )


def place(found: Evidence) -> str:
    name = _finding(found)
    interval, main = f"{name}/interval 1", _main(found).subject
    if _fact(found, "start_time", interval):
        return when(found)
    if _fact(found, "left", main) is None:
        return blame(found)
    left, top = _said(found, "left", main), _said(found, "top", main)
    return (
        f"{main.partition('/')[2].capitalize()} of {name} lies in the {_ref(found, main, 'position')}, {left} from the "
        f"left and {top} from the top."
    )


def when(found: Evidence) -> str:
    name = _finding(found)
    interval = f"{name}/interval 1"
    return f"{name} began at {_ref(found, interval, 'start_time')} and ended at {_ref(found, interval, 'end_time')}."


def duration(found: Evidence) -> str:
    name = _finding(found)
    return f"The length of {name} is {_ref(found, f'{name}/interval 1', 'length')} steps."


def size(found: Evidence) -> str:
    name, main = _finding(found), _main(found).subject
    return f"The area of {main.partition('/')[2]} of {name} is {_ref(found, main, 'area')}."


def similar(found: Evidence) -> str:
    name = _finding(found)
    fact = _fact(found, "similarity")
    if fact is None:
        return f"There is no other finding to compare {name} with [{found.id}]."
    other = fact.subject.partition(" vs ")[2]
    return f"The most similar to {name} is {other}, with a similarity of {_ref(found, fact.subject, 'similarity')}."


def compared(found: Evidence) -> str:
    """In digits: two findings are easily mixed up."""
    told = (
        f"{name} has a p-value of {_said(found, 'p_value', name)} and a score of {_said(found, 'score', name)} "
        f"[{found.id}]."
        for name in (str(found.arguments["first"]), str(found.arguments["second"]))
    )
    return " ".join(told)


def beside_normal(found: Evidence) -> str:
    name = _finding(found)
    return (
        f"The score of {name} is {_ref(found, name, 'score')}; normal samples have a median of "
        f"{_ref(found, name, 'normal_median_score')}. The p-value of {name} is {_ref(found, name, 'p_value')}."
    )


def sure(found: Evidence) -> str:
    name = _finding(found)
    return f"The p-value of {name} is {_ref(found, name, 'p_value')}, and alpha is {_ref(found, name, 'alpha')}."


def score(found: Evidence) -> str:
    name = _finding(found)
    return f"The score of {name} is {_ref(found, name, 'score')}."


def tried(found: Evidence) -> str:
    name, after = _finding(found), _fact(found, "returns_to_normal")
    ending = "It then returns to normal" if after and after.value else "It does not return to normal"
    return (
        f"The p-value of {name} goes from {_ref(found, name, 'before_p_value')} to "
        f"{_ref(found, name, 'after_p_value')}. {ending} [{found.id}]."
    )


def other_alpha(found: Evidence) -> str:
    run = _run(found)
    before, after = _ref(found, run, "before_findings"), _ref(found, run, "after_findings")
    return f"At alpha {_said(found, 'alpha')}, {after} would be flagged instead of {before}."


def labelled(found: Evidence) -> str:
    name = _finding(found)
    return f"{name} is now labelled {_said(found, 'label')} [{found.id}]."


def sample(found: Evidence, name: str) -> str:
    """Of a looked-up sample, in digits."""
    if found.status == "no_data":
        return f'There is no sample "{name}" [{found.id}].'
    subject = found.facts[0].subject
    flagged, p = finding_of(found), _said(found, "p_value")
    head = f"{subject[:1].upper()}{subject[1:]} was"
    if flagged:
        return f"{head} flagged as {flagged}; its p-value is {p} [{found.id}]."
    return f"{head} not flagged: its p-value is {p}, above alpha {_said(found, 'alpha')} [{found.id}]."


def unknown(found: Evidence, finding: str) -> str:
    return f"There is no finding {finding} [{found.id}]."


def incident(found: Evidence) -> str:
    if found.status != "ok":
        return f"There are no findings to put together [{found.id}]."
    key = next(name for name in found.subjects if name.startswith("I"))
    return (
        f"Incident {key} holds {_ref(found, key, 'findings')} findings. The most anomalous is "
        f"{_said(found, 'most_anomalous')}, with a p-value of {_ref(found, key, 'lowest_p_value')}."
    )


def guide(found: Evidence) -> str:
    return f"{_GUIDES[str(found.arguments['topic'])]} [{found.id}]."
