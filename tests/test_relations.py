"""Exact relations between columns: a small break of one is told apart from all that normals do."""

import torch

from detectors import make_detector
from detectors.relations import Relations


def _bills(count: int, seed: int) -> torch.Tensor:
    """net, tax, total = net + tax, and an independent column, all of about unit variance."""
    generator = torch.Generator().manual_seed(seed)
    net, tax, other = torch.randn(3, count, generator=generator)
    return torch.stack([net, tax, net + tax, other], 1)


def test_a_small_break_of_a_relation_outweighs_extreme_values():
    relations = Relations()
    relations.fit(_bills(400, 0), components=1, seed=0)
    rows = _bills(3, 1)
    rows[1, 2] += 0.05
    rows[2, 3] = 40.0
    scores, evidence = relations.score(rows)
    assert scores[1] > 100 * max(scores[0], scores[2], 1e-3)
    assert (evidence[1, 3] < 1e-3 * evidence[1, :3]).all()


def test_a_broken_cell_is_expected_to_be_what_the_others_ask_for():
    relations = Relations()
    relations.fit(_bills(400, 0), components=1, seed=0)
    rows = _bills(5, 1)
    hole = torch.zeros(5, 4, dtype=torch.bool)
    hole[:, 2] = True
    mended = relations.expected(torch.where(hole, 9.0, rows), hole)
    assert torch.allclose(mended[:, 2], rows[:, 0] + rows[:, 1], atol=1e-3)


def test_columns_without_a_relation_say_nothing():
    relations = Relations()
    relations.fit(torch.randn(300, 5, generator=torch.Generator().manual_seed(2)), components=1, seed=0)
    assert relations.score(torch.randn(4, 5))[0].abs().max() == 0


def test_a_table_without_relations_is_judged_by_the_other_members():
    bills, free = _bills(200, 0).numpy(), torch.randn(200, 4, generator=torch.Generator().manual_seed(3)).numpy()
    small = {"width": 16, "train_steps": 20, "device": "cpu"}
    assert "relations" in make_detector("table", "default", **small).fit(bills).members
    assert "relations" not in make_detector("table", "default", **small).fit(free).members
