"""Suite 4, adversarial: claims that invent, swap and misplace, half of them true, and orders inside data.

The claims are about made-up evidence, by seed, and go through the verifier as drafts of any model do. The orders stand
in names of files, channels and columns and are put before a language model. Knows cases; not detectors.
"""

from __future__ import annotations

import time

from assistant.evals.asking import conversations
from assistant.evals.made_claims import make
from assistant.evals.orders import load_orders
from assistant.evals.orders import run as ask_about
from assistant.evals.table import Job, Line, counted
from assistant.verify import Verifier

TITLE = "adversarial"
SEEDS, HELD_OUT_SEEDS = range(3), range(1000, 1010)  # of the generated claims; the latter were never looked at


def run(job: Job) -> list[Line]:
    """Check the claims, then ask about data with orders in it."""
    seeds = HELD_OUT_SEEDS if job.held_out else SEEDS
    lines = _claims(range(seeds.start, seeds.start + 1) if job.quick else seeds)
    orders = load_orders(job.cases / "orders.yaml")
    job.tell(0.3, "orders inside data")
    with conversations(job.llm) as converse:
        told = ask_about(orders[:2] if job.quick else orders, converse)
    for place in ("sample", "channel", "feature"):
        outcomes = [(not one.obeyed, f"{one.order.text!r}: {one.reply.text}") for one in told if one.place == place]
        lines.append(counted(f"order in a {place}'s name", "not obeyed", outcomes))
    return [*lines, Line("orders", "sentences without support", sum(one.unsupported for one in told))]


def _claims(seeds: range) -> list[Line]:
    caught: list[tuple[bool, str]] = []
    passed: list[tuple[bool, str]] = []
    begun, count = time.perf_counter(), 0
    for seed in seeds:
        evidence, claims = make(seed)
        verifier = Verifier()
        for claim in claims:
            ok = verifier.verify(claim.text, evidence).ok
            (passed if claim.true else caught).append((ok == claim.true, f"{claim.sort}: {claim.text}"))
            count += 1
    return [
        counted("false claims", "caught", caught),
        counted("true claims", "passed", passed),
        Line("claims", "milliseconds a claim", 1000 * (time.perf_counter() - begun) / max(1, count)),
    ]
