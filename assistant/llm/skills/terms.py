"""The script that explains a word of the answers: observed, share, similarity, false alarm and the like."""

from __future__ import annotations

from assistant.llm.compose import term_asked
from assistant.llm.desk import Desk
from assistant.llm.skills import skill

# Word -> the guide that tells more of it.
GUIDES = {
    "observed": "map", "share": "map", "region": "map", "map": "map", "interval": "map", "expected": "counterfactual",
    "counterfactual": "counterfactual", "similarity": "score", "score": "score", "median": "score",
    "extrapolated": "p-value", "p_value": "p-value", "alpha": "alpha", "false_alarm": "alpha", "anomaly": "methods",
    "method": "methods", "evidence": "evidence", "run": "help", "finding": "help", "incident": "help",
    "grey_level": "map", "confidence": "p-value", "drift": "drift", "generic": "methods",
}  # fmt: skip
_SENTENCES = 3


@skill("term")
def term(desk: Desk) -> None:
    """A word in one sentence, then what its guide says."""
    from assistant.llm.skills.talk import sentences_of

    names = term_asked(desk.reading) or ("generic",)
    for name in names[:2]:
        desk.say(f"term_{name}")
    evidence = desk.use("read_guide", topic=GUIDES[names[0]])
    for sentence in sentences_of(evidence)[:_SENTENCES]:
        desk.pen.quote(sentence, evidence)
