"""The one error a user sees. Light on purpose: everything may import it."""


class AnomalyError(ValueError):
    """Bad input or a bad state, said in one clear sentence: what was wrong, where, and what to do."""
