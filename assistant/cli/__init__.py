"""The command `anomaly`. Everything heavy is imported inside the command that needs it."""

from assistant.cli.app import (
    main,
    run,
)

__all__ = [
    "main",
    "run",
]
