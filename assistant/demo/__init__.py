"""The built-in case: made by the project itself, with known causes, for a first look and for tests."""

from assistant.demo.case import make_case
from assistant.demo.opening import fill, open_demo, prepare_demo

__all__ = ["fill", "make_case", "open_demo", "prepare_demo"]
