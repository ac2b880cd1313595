"""A tiny language model of the project's own: a real one for the tests, trained from nothing on made-up dialogues.

`worlds` makes stores with made-up names, `dialogue` talks over them with the tools of `made_stores`, `tokens` turns
talk into tokens, `train` trains. The weights in `weights/` come from `python -m assistant.evals.tiny.train`. It is no
assistant for people: it drives the loop, the parsers and the check as a language model does, mistakes included.
"""

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
