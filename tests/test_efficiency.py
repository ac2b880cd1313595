"""Methods that spend less: a cascade asks the costly stage only where it must, an anytime score stops early, a student
makes its teacher's chain in one step."""

import pytest
import torch

from detectors.denoiser import denoiser_settings, make_denoiser
from detectors.errors import AnomalyError
from detectors.hybrid.anytime import Anytime
from detectors.hybrid.cascade import Cascade
from detectors.method import Space
from detectors.training import Run

SPACE = Space("table", (4,))
SMALL = {"width": 32, "depth": 2, "train_steps": 80}


def rows(count, seed):
    generator = torch.Generator().manual_seed(seed)
    first = torch.randn(count, 1, generator=generator)
    return torch.cat([first, first + 0.3 * torch.randn(count, 3, generator=generator)], 1)


def fitted(cls, **settings):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        method = cls(SPACE, **{**SMALL, **settings})
        method.fit(rows(600, 0), Run())
        method.calibrate(rows(200, 1))
    return method


@pytest.fixture(scope="module")
def cascade():
    return fitted(Cascade)


@pytest.fixture(scope="module")
def anytime():
    return fitted(Anytime, band=(0.002, 0.3))


def test_only_unclear_rows_reach_the_costly_stage(cascade, monkeypatch):
    asked = []
    costly = cascade.costly.maps
    monkeypatch.setattr(cascade.costly, "maps", lambda x: asked.append(len(x)) or costly(x))
    x = rows(1000, 2)
    p = cascade.cheap_standing.p_value(cascade.cheap_standing.scaled(cascade.cheap.maps(x)))
    maps = cascade.maps(x)
    unclear = (p > 0.002) & (p <= 0.2)
    assert asked == [int(unclear.sum())]
    assert 100 < asked[0] < 300
    assert torch.equal(maps[~unclear], cascade.cheap_standing.scaled(cascade.cheap.maps(x))[~unclear])


def test_a_plain_anomaly_is_not_sent_on(cascade):
    cascade.seen = cascade.sent_on = 0
    far = torch.full((1, 4), 30.0)
    assert cascade.maps(far).sum() > cascade.maps(rows(50, 3)).sum(1).max()
    assert cascade.sent_on <= 50 * 0.5
    assert cascade.calls < cascade.costly.calls


def test_a_cascade_holds_no_cascade():
    with pytest.raises(AnomalyError, match="cheap='cascade'"):
        Cascade(SPACE, cheap="cascade")


def test_a_score_refines_and_stops_where_it_is_clear(anytime):
    x = torch.cat([rows(30, 4), torch.full((1, 4), 30.0)])
    stages = list(anytime.refine(x))
    assert [calls for calls, _, _ in stages] == [1, 2, 4, 8][: len(stages)]
    assert all(len(maps) == 31 for _, maps, _ in stages)
    assert not stages[0][2][-1]  # the plain anomaly needs no second call
    waiting = [int(still.sum()) for _, _, still in stages]
    assert waiting == sorted(waiting, reverse=True)
    assert 0 < waiting[0] < 31


def test_early_answers_cost_fewer_calls(anytime):
    anytime.seen = anytime.made = 0
    anytime.maps(rows(500, 5))
    assert 1 <= anytime.spent < 5  # of 8


def test_a_budget_is_kept():
    method = fitted(Anytime, budget=2, train_steps=20)
    assert [calls for calls, _, _ in method.refine(rows(200, 6))][-1] <= 2
    with pytest.raises(AnomalyError, match="budget"):
        Anytime(SPACE, budget=99)


def test_one_step_of_a_student_comes_nearer_its_teachers_chain():
    settings = {**denoiser_settings("table"), **SMALL, "train_steps": 400, "denoiser": "distilled"}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        student = make_denoiser(SPACE, settings)
        student.fit(rows(600, 0), Run())
        torch.manual_seed(0)
        teacher = make_denoiser(SPACE, {**settings, "denoiser": "network"})
        teacher.fit(rows(600, 0), Run())
    x = rows(200, 7)
    chain, single = (teacher.chain(x, 250, seed=1, num_inference_steps=n) for n in (8, 1))
    jump = student.chain(x, 250, seed=1, num_inference_steps=1)
    assert (jump - chain).square().mean() < 0.7 * (single - chain).square().mean()


def test_steps_that_cannot_be_halved_are_refused():
    with pytest.raises(AnomalyError, match="student_steps=5"):
        make_denoiser(SPACE, {**denoiser_settings("table"), "denoiser": "distilled", "student_steps": 5})
