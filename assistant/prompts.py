"""Reads the texts in `prompts/`: prompts rendered strictly, guides found by topic, follow-up questions.

Knows files and templates; not language models, tools or the store. A text is Markdown with a short front matter
(YAML between two `---` lines); a prompt declares there the variables that it needs, and gets exactly those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined, TemplateError

from detectors.errors import AnomalyError

_FRONT = re.compile(r"---\n(.*?)\n---\n(.*)", re.DOTALL)


@dataclass(frozen=True)
class Guide:
    """One text on how to read results. `text` is Markdown, one sentence a line."""

    name: str  # the file's stem
    title: str
    summary: str
    topics: tuple[str, ...]  # words under which it is found
    text: str


@dataclass(frozen=True)
class Followup:
    """One question that the page may offer after a tool was used."""

    after: str
    ask: str  # a template over finding, second, region and part
    modality: str = ""  # "" = any
    needs: tuple[str, ...] = ()


def render(name: str, **variables: Any) -> str:
    """The prompt `prompts/<name>.md` with exactly the variables it declares filled in.

    Raises:
        AnomalyError: there is no such prompt, its front matter is broken, or a variable is missing or unknown.
    """
    front, template = _prompt(name)
    declared = set(front.get("variables", ()))
    missing, unknown = sorted(declared - set(variables)), sorted(set(variables) - declared)
    if missing or unknown:
        raise AnomalyError(
            f"prompt {name!r} takes the variables {sorted(declared)}; missing: {missing}, unknown: {unknown}"
        )
    return fill(template, f"prompt {name!r}", **variables).strip()


def fill(template: str, what: str, **variables: Any) -> str:
    """Render one template strictly.

    Raises:
        AnomalyError: the template is broken or uses a variable that is not given; `what` names it.
    """
    try:
        return _environment().from_string(template).render(**variables)
    except TemplateError as error:
        raise AnomalyError(f"{what} cannot be rendered: {error}") from error


@cache
def guides() -> dict[str, Guide]:
    """All guides by name, in alphabetical order."""
    folder = _root() / "guides"
    return {guide.name: guide for file in _markdown(folder) for guide in [_guide(file)]}


def guide(topic: str) -> Guide:
    """The guide for a topic: its name, its title or one of its topics, in any case, also inside a longer phrase.

    Raises:
        AnomalyError: no guide knows the topic; the sentence lists those there are.
    """
    wanted = _words(topic)
    by_phrase = {_words(phrase): one for one in guides().values() for phrase in (*one.topics, one.title, one.name)}
    if wanted in by_phrase:
        return by_phrase[wanted]
    inside = [phrase for phrase in by_phrase if len(phrase) > 1 and re.search(rf"\b{re.escape(phrase)}\b", wanted)]
    if inside:
        return by_phrase[max(inside, key=len)]
    raise AnomalyError(f"There is no guide on {topic!r}; there are guides on: {', '.join(guides())}.")


@cache
def followups() -> tuple[Followup, ...]:
    """The follow-up questions of `prompts/followups.yaml`, in the order of the file."""
    rows = yaml.safe_load((_root() / "followups.yaml").read_text(encoding="utf-8"))
    try:
        return tuple(Followup(**{**row, "needs": tuple(row.get("needs", ()))}) for row in rows)
    except TypeError as error:
        raise AnomalyError(f"prompts/followups.yaml: a row has a wrong key: {error}") from error


def suggest(after: str, modality: str = "", asked: Sequence[str] = (), limit: int = 3, **names: str) -> tuple[str, ...]:
    """Follow-up questions after the tool `after`; `names` gives those of finding, second, region, part at hand.

    What was `asked` already is left out.
    """
    done = {_words(question) for question in asked}
    found = []
    for row in followups():
        if row.after != after or (row.modality and row.modality != modality):
            continue
        if all(names.get(need) for need in row.needs):
            question = fill(row.ask, "prompts/followups.yaml", **names)
            if _words(question) not in done:
                found.append(question)
    return tuple(dict.fromkeys(found))[:limit]


def _root() -> Traversable:
    """The `prompts` package: beside `assistant` in a checkout, in site-packages when installed."""
    return resources.files("prompts")


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - plain text for a language model, never HTML
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=False
    )
    environment.filters["quoted"] = lambda value: json.dumps(str(value), ensure_ascii=False)
    return environment


@cache
def _prompt(name: str) -> tuple[dict[str, Any], str]:
    file = _root() / f"{name}.md"
    if not re.fullmatch(r"[a-z_]+", name) or not file.is_file():
        known = ", ".join(entry.name.removesuffix(".md") for entry in _markdown(_root()))
        raise AnomalyError(f"there is no prompt {name!r}; known: {known}")
    return _split(file)


def _guide(file: Traversable) -> Guide:
    front, text = _split(file)
    try:
        topics = tuple(str(topic) for topic in front["topics"])
        return Guide(file.name.removesuffix(".md"), front["title"], front["summary"], topics, text.strip())
    except KeyError as error:
        raise AnomalyError(f"prompts/guides/{file.name}: the front matter lacks {error}") from error


def _split(file: Traversable) -> tuple[dict[str, Any], str]:
    """Front matter and text of one file."""
    found = _FRONT.fullmatch(file.read_text(encoding="utf-8"))
    if found is None:
        raise AnomalyError(f"prompts/{file.name} does not begin with a front matter between two lines of ---")
    try:
        front = yaml.safe_load(found[1])
    except yaml.YAMLError as error:
        raise AnomalyError(f"prompts/{file.name}: the front matter is not YAML: {error}") from error
    if not isinstance(front, dict):
        raise AnomalyError(f"prompts/{file.name}: the front matter is not a mapping")
    return front, found[2]


def _markdown(folder: Traversable) -> list[Traversable]:
    return sorted((file for file in folder.iterdir() if file.name.endswith(".md")), key=lambda file: file.name)


def _words(text: str) -> str:
    """For comparing topics and questions: lower case, words only."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
