"""Cells of remembered points: every query is answered once, by points that are near it."""

import torch

from detectors.densities import Kernel
from detectors.neighbours import ALL, CELL_POINTS, Cells


def _rings(count: int, seed: int) -> torch.Tensor:
    """Points on a curve in six dimensions."""
    generator = torch.Generator().manual_seed(seed)
    angle = torch.rand(count, generator=generator) * 6.28
    turns = torch.stack([f(angle * k) for k in (1, 2, 3) for f in (torch.sin, torch.cos)], 1)
    return turns + 0.02 * torch.randn(count, 6, generator=generator)


def test_every_query_is_met_once_and_by_its_nearest_points():
    points, queries = _rings(5000, 0), _rings(300, 1)
    cells = Cells()
    cells.fit(points)
    seen, distance = torch.zeros(300, dtype=int), torch.full((300,), torch.inf)
    for rows, _, near in cells.meet(queries):
        seen[rows] += 1
        assert len(near) == CELL_POINTS
        distance[rows] = torch.cdist(queries[rows], near).min(1).values
    assert (seen == 1).all()
    true = torch.cdist(queries, points).min(1).values
    assert torch.isclose(distance, true, atol=1e-3).float().mean() > 0.98


def test_few_points_are_met_by_every_query():
    cells = Cells()
    cells.fit(_rings(ALL, 0))
    ((rows, _, near),) = cells.meet(_rings(7, 1))
    assert rows.tolist() == list(range(7))
    assert len(near) == ALL


def test_a_kernel_ranks_with_cells_as_it_would_with_all_points():
    points, queries = _rings(5000, 0), torch.cat([_rings(200, 1), _rings(200, 2) + 0.3])
    kernel = Kernel(0.5)
    kernel.fit(points, components=0, seed=0)
    scores = kernel.score(queries)[0]
    exact = -torch.logsumexp(-0.5 * (torch.cdist(queries, points) / kernel.width) ** 2, 1)
    ranks, exact_ranks = (s.argsort().argsort().float() for s in (scores, exact))
    assert torch.corrcoef(torch.stack([ranks, exact_ranks]))[0, 1] > 0.99
    assert scores[:200].max() < scores[200:].min()


def test_copies_and_far_away_rows_stay_finite():
    points = torch.zeros(50, 3)
    points[:5, 0] = 1.0
    kernel = Kernel(0.5)
    kernel.fit(points, components=0, seed=0)
    scores = kernel.score(torch.tensor([[0.0, 0, 0], [0.5, 0, 0], [300.0, 0, 0]]))[0]
    assert torch.isfinite(scores).all()
    assert scores[0] < scores[1] < scores[2]
