"""The built-in case: made by the project itself, with known causes, for a first look and for tests."""

from assistant.demo.case import make_case

__all__ = ["make_case"]
