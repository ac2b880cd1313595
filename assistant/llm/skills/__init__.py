"""One short script per intent: which results it needs and what it says about them.

A module of this folder is found by scanning; `@skill("why")` registers a function for an intent of
`prompts/narrator/intents.yaml`. A skill gets the desk, asks it for results and says sentences; it runs again from its
beginning whenever a result has come.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from functools import cache
from importlib import import_module

from assistant.llm.desk import Desk

Skill = Callable[[Desk], None]
_SKILLS: dict[str, Skill] = {}


def skill(*intents: str) -> Callable[[Skill], Skill]:
    """Register a function as the script for one or more intents."""

    def register(function: Skill) -> Skill:
        _SKILLS.update(dict.fromkeys(intents, function))
        return function

    return register


@cache
def skills() -> dict[str, Skill]:
    """Every script by its intent."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return dict(_SKILLS)
