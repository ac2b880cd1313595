"""A span of a sentence that names something. Knows neither sentences nor facts."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.verify.lexicon import Options


@dataclass(frozen=True)
class Mention:
    """A span that names something: findings ("base"), a part, a field, or a role."""

    start: int
    end: int
    names: frozenset[str]  # base: ids and names that mean it; part: names; role: {role}; field: {text}
    kind: str = ""  # part: region, channel...; role: its axis; field: "count" or ""
    options: Options = ()  # field only
