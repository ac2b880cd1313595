"""The evaluation suites behind `anomaly eval`: one module a suite, found by scanning.

A suite is a module of this folder with `TITLE` and `run(job) -> list[Line]`. Knows `Job` and `Line` (see `table`); what
is asked and planted are data (`tests/evals/`) and seeded generators (`planted_*`), never detectors' own words.
"""
