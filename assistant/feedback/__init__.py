"""What labels do: proposals, calibrations that follow, precision over time, suggestions, refits, kinds of one's own."""

from assistant.feedback.proposals import (
    Proposal,
    apply,
    propose,
    undo,
)

__all__ = [
    "Proposal",
    "apply",
    "propose",
    "undo",
]
