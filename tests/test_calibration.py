"""p-values: valid on normals, small beyond them, honest where few normals were held out."""

import numpy as np
import pytest
from scipy import stats

from detectors.calibration import Calibration, benjamini_hochberg

RNG = np.random.default_rng


def test_p_values_of_normals_are_uniform():
    rng = RNG(0)
    p = Calibration(rng.normal(size=2000)).p_value(rng.normal(size=4000))
    for alpha in (0.01, 0.05, 0.2):
        assert (p <= alpha).mean() == pytest.approx(alpha, abs=3 * (alpha / 2000) ** 0.5 + 0.005)


@pytest.mark.parametrize("draw", [lambda r, n: r.normal(size=n), lambda r, n: r.exponential(size=n)])
def test_few_normals_still_allow_a_small_alpha_without_many_false_alarms(draw):
    rates = []
    for seed in range(60):
        rng = RNG(seed)
        rates.append((Calibration(draw(rng, 43)).p_value(draw(rng, 2000)) <= 0.01).mean())
    assert 0.002 < np.mean(rates) < 0.02


def test_p_falls_with_the_score_and_joins_at_the_largest_normal():
    calibration = Calibration(RNG(1).normal(size=60))
    grid = np.linspace(-4, 30, 500)
    p = calibration.p_value(grid)
    assert (np.diff(p) <= 1e-12).all()
    top = calibration.scores[-1]
    assert calibration.p_value(np.array([top + 1e-9]))[0] == pytest.approx(1 / 61, rel=1e-3)
    assert calibration.extrapolated(np.array([top, top + 1])).tolist() == [False, True]


def test_correlated_scores_count_as_blocks():
    scores = np.repeat(RNG(2).normal(size=50), 20)
    assert Calibration(scores, block=20).p_value(np.array([scores.max()]))[0] == pytest.approx(2 / 51, rel=0.01)


def test_too_few_normals_give_no_tail():
    calibration = Calibration(RNG(3).normal(size=9))
    assert calibration.p_value(np.array([100.0]))[0] == pytest.approx(0.1)
    assert calibration.threshold(0.01) == float("inf")
    assert "Only 9 independent normal scores" in calibration.limit
    assert "below 0.100" in calibration.limit
    assert Calibration(RNG(3).normal(size=60)).limit == ""


@pytest.mark.parametrize("alpha", [0.2, 0.05, 0.01, 1e-4])
def test_the_threshold_is_where_p_reaches_alpha(alpha):
    calibration = Calibration(RNG(4).normal(size=200))
    at = calibration.threshold(alpha)
    assert calibration.p_value(np.array([at * 1.0001 + 1e-9]))[0] <= alpha * 1.01
    assert calibration.p_value(np.array([at - 0.05]))[0] > alpha


def test_missing_scores_are_never_flagged():
    assert Calibration(RNG(5).normal(size=50)).p_value(np.array([np.nan]))[0] == 1.0


def test_labels_of_normals_raise_the_threshold():
    calibration = Calibration(RNG(6).normal(size=100))
    assert calibration.with_scores(np.array([4.0, 5.0, 6.0])).threshold(0.02) > calibration.threshold(0.02)


def test_false_discoveries_stay_below_the_asked_rate():
    rng = RNG(7)
    shares = []
    for _ in range(200):
        p = np.concatenate([rng.uniform(size=90), rng.uniform(0, 1e-4, size=10)])
        flags = benjamini_hochberg(p, 0.1)
        assert flags[90:].all()
        shares.append(flags[:90].sum() / max(1, flags.sum()))
    assert np.mean(shares) < 0.12


def test_nothing_is_flagged_where_nothing_is_odd():
    assert not benjamini_hochberg(RNG(8).uniform(0.2, 1, size=100), 0.05).any()


def test_labels_never_make_anything_more_anomalous_and_raise_what_lies_near():
    calibration = Calibration(RNG(9).normal(size=100))
    widened = calibration.with_scores(np.array([5.0, 6.0]))
    grid = np.linspace(-4, 12, 400)
    assert (widened.p_value(grid) >= calibration.p_value(grid)).all()
    assert (np.diff(widened.p_value(grid)) <= 1e-12).all()
    assert widened.p_value(np.array([5.0]))[0] == pytest.approx(3 / 103)
    assert widened.p_value(np.array([6.5]))[0] > 10 * calibration.p_value(np.array([6.5]))[0]
    assert widened.extrapolated(np.array([5.5, 6.5])).tolist() == [False, True]


def test_selected_labels_keep_the_rate_of_false_alarms():
    """Whoever labels only the mildest of the false alarms cannot push new normals below alpha."""
    rates = []
    for seed in range(80):
        rng = RNG(seed)
        calibration, first = Calibration(rng.normal(size=100)), rng.normal(size=2000)
        flagged = np.sort(first[calibration.p_value(first) <= 0.05])
        labelled = calibration.with_scores(flagged[: len(flagged) // 2])
        rates.append((labelled.p_value(rng.normal(size=2000)) <= 0.05).mean())
    assert np.mean(rates) < 0.05


def test_labels_that_are_taken_back_leave_no_trace():
    calibration = Calibration(RNG(10).normal(size=60))
    scores = np.linspace(-3, 9, 50)
    back = calibration.with_scores(np.array([4.0])).with_scores(np.zeros(0))
    assert (back.p_value(scores) == calibration.p_value(scores)).all()
    kept = Calibration.from_state(calibration.with_scores(np.array([4.0])).state())
    assert (kept.p_value(scores) == calibration.with_scores(np.array([4.0])).p_value(scores)).all()


def test_a_labelled_event_counts_once_however_long_the_blocks():
    calibration = Calibration(np.repeat(RNG(11).normal(size=50), 20), block=20)
    assert calibration.with_scores(np.array([9.0])).p_value(np.array([9.0]))[0] == pytest.approx(2 / 52)


@pytest.mark.parametrize("m", [20, 60, 500])
@pytest.mark.parametrize(
    "spread", [stats.norm(), stats.expon(), stats.lognorm(0.5), stats.t(5), stats.gamma(4)], ids=lambda d: d.dist.name
)
def test_the_tail_does_not_promise_more_than_it_keeps(spread, m):
    """False alarms on average over calibration sets, exact for each: at most as many as asked for, however small."""
    alphas = (1e-2, 1e-3, 1e-4)
    held = [spread.rvs(m, random_state=seed) for seed in range(40)]
    rates = [[spread.sf(Calibration(one).threshold(alpha)) for alpha in alphas] for one in held]
    assert (np.mean(rates, 0) < 1.5 * np.array(alphas)).all()


def test_far_beyond_the_normals_p_goes_on_falling():
    calibration = Calibration(RNG(12).normal(size=60))
    p = calibration.p_value(np.array([5.0, 10.0, 20.0, 40.0, 80.0, 160.0]))
    assert (np.diff(np.log(p)) < -0.5).all()
    assert 1e-9 < p[-1] < 1e-5


def test_more_normals_make_a_far_score_surer():
    few, many = (Calibration(RNG(13).normal(size=count)) for count in (30, 2000))
    assert many.p_value(np.array([8.0]))[0] < 0.1 * few.p_value(np.array([8.0]))[0]


def test_few_independent_blocks_make_the_tail_wider():
    scores = np.repeat(RNG(14).normal(size=200), 10)
    far = np.array([scores.max() + 3])
    ratio = Calibration(scores, block=10).p_value(far) / Calibration(scores, block=10).p_value(
        scores[[scores.argmax()]]
    )
    as_if = Calibration(scores).p_value(far) / Calibration(scores).p_value(scores[[scores.argmax()]])
    assert ratio[0] > as_if[0]
