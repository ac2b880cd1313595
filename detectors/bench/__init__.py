"""Measurements on public sets: every method beside simple baselines, in one run."""
