"""A finding on the bench: what of it can be repaired, the score of its repaired version, tests of an explanation."""
