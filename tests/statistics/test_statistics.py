"""The statistics against scipy, against rliable where it is installed, and against what 95 % means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mario_world_model.statistics.aggregates import AGGREGATES, Scores, interquartile_mean, mean, median
from mario_world_model.statistics.bootstrap import bootstrap_interval
from mario_world_model.statistics.comparison import (
    NOT_DISTINGUISHABLE,
    performance_profile,
    probability_of_improvement,
    superiority,
    verdict,
)
from mario_world_model.statistics.interval import Interval
from mario_world_model.statistics.wilson import wilson

DATA_SETS = 1000


@given(st.integers(1, 400).flatmap(lambda trials: st.tuples(st.integers(0, trials), st.just(trials))))
def test_wilson_is_that_of_scipy(case: tuple[int, int]) -> None:
    successes, trials = case
    known = stats.binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    found = wilson(successes, trials)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=1e-12)
    assert found.low <= found.estimate <= found.high


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_the_interquartile_mean_is_that_of_scipy(scores: list[float]) -> None:
    found = float(interquartile_mean(np.array(scores)))
    assert found == pytest.approx(float(stats.trim_mean(scores, 0.25)), rel=1e-9, abs=1e-6)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.lists(st.integers(0, 9), min_size=1, max_size=40))
def test_superiority_is_mann_whitneys(one: list[int], other: list[int]) -> None:
    statistic = stats.mannwhitneyu(one, other).statistic if len(set(one + other)) > 1 else len(one) * len(other) / 2
    found = superiority(np.array([one], dtype=float), np.array([other], dtype=float))
    assert found == pytest.approx(statistic / (len(one) * len(other)))


def test_one_seed_has_the_percentiles_of_scipy_moved_outwards() -> None:
    scores = np.random.default_rng(1).gamma(2.0, 300.0, (1, 100))
    known = stats.bootstrap(
        (scores[0],), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    found = bootstrap_interval([scores], mean, replicates=20_000)
    width = known.high - known.low
    assert found.low == pytest.approx(known.low, abs=0.04 * width)
    assert found.high == pytest.approx(known.high, abs=0.04 * width)
    assert width < found.high - found.low < 1.06 * width


def test_several_seeds_have_students_interval_of_their_means() -> None:
    scores = np.random.default_rng(3).normal(800.0, 200.0, (5, 40))
    known = stats.ttest_1samp(scores.mean(axis=1), 0.0).confidence_interval(0.95)
    found = bootstrap_interval([scores], mean, replicates=40_000)
    assert (found.low, found.high) == pytest.approx((known.low, known.high), rel=0.01)


@pytest.mark.filterwarnings("ignore")  # its own, of an archived package
def test_rliable_says_the_same() -> None:
    metrics = pytest.importorskip("rliable.metrics", reason="rliable, an archived package, is not installed")
    library = pytest.importorskip("rliable.library")
    scores = np.random.default_rng(4).gamma(3.0, 0.4, (60, 1))  # runs × tasks
    known, ends = library.get_interval_estimates(
        {"agent": scores},
        lambda table: np.array([metrics.aggregate_iqm(table), metrics.aggregate_mean(table)]),
        reps=4000,
    )
    for row, aggregate in enumerate((interquartile_mean, mean)):
        found = bootstrap_interval([scores.reshape(1, -1)], aggregate, replicates=4000)
        width = ends["agent"][1, row] - ends["agent"][0, row]
        assert found.estimate == pytest.approx(known["agent"][row])
        assert found.low == pytest.approx(ends["agent"][0, row], abs=0.1 * width)
        assert found.high == pytest.approx(ends["agent"][1, row], abs=0.1 * width)
    one, other = scores, scores * 1.2
    assert superiority(one.T, other.T) == pytest.approx(metrics.probability_of_improvement(one, other))
    thresholds = np.linspace(0.0, 3.0, 7)
    profile = library.create_performance_profile({"agent": scores}, thresholds, reps=10)[0]["agent"]
    assert performance_profile(scores.T, thresholds) == pytest.approx(profile)


def _covered(
    draw: Callable[[np.random.Generator], Scores], aggregate: str, truth: float, replicates: int = 500
) -> float:
    rng = np.random.default_rng(7)
    intervals = (bootstrap_interval([draw(rng)], AGGREGATES[aggregate], seed, replicates) for seed in range(DATA_SETS))
    return float(np.mean([one.low <= truth <= one.high for one in intervals]))


def _skewed(rng: np.random.Generator) -> Scores:
    """One training seed: most die early, a few get far."""
    return rng.gamma(2.0, 300.0, (1, 100))


_GAMMA = stats.gamma(2.0, scale=300.0)


@pytest.mark.parametrize(
    ("aggregate", "truth"),
    [
        ("IQM", float(_GAMMA.expect(lb=_GAMMA.ppf(0.25), ub=_GAMMA.ppf(0.75), conditional=True))),
        ("mean", float(_GAMMA.mean())),
        ("median", float(_GAMMA.median())),
    ],
)
def test_intervals_over_episodes_hold_the_truth_95_times_in_100(aggregate: str, truth: float) -> None:
    assert 0.93 <= _covered(_skewed, aggregate, truth) <= 0.97


@pytest.mark.parametrize("seeds", [3, 5, 10])
@pytest.mark.parametrize("aggregate", ["IQM", "mean"])
def test_intervals_over_training_seeds_hold_the_truth_95_times_in_100(seeds: int, aggregate: str) -> None:
    def draw(rng: np.random.Generator) -> Scores:
        """How good a training turns out differs as much as its episodes do."""
        return 1000.0 + rng.normal(0.0, 200.0, (seeds, 1)) + rng.normal(0.0, 200.0, (seeds, 20))

    assert 0.93 <= _covered(draw, aggregate, 1000.0) <= 0.97


def test_wilson_holds_the_truth_95_times_in_100() -> None:
    intervals = [wilson(hits, 100) for hits in range(101)]
    coverage = []
    for chance in np.linspace(0.01, 0.99, 197):
        held = [hits for hits, one in enumerate(intervals) if one.low <= chance <= one.high]
        coverage.append(stats.binom.pmf(held, 100, chance).sum())
    assert 0.945 <= np.mean(coverage) <= 0.96


def test_a_probability_of_improvement_holds_the_truth_95_times_in_100() -> None:
    rng = np.random.default_rng(9)
    truth = float(stats.norm.cdf(0.5 / np.sqrt(2.0)))
    held = []
    for seed in range(250):
        one, other = rng.normal(0.5, 1.0, (1, 60)), rng.normal(0.0, 1.0, (1, 60))
        found = probability_of_improvement(one, other, seed, 200)
        held.append(found.low <= truth <= found.high)
    assert 0.93 <= np.mean(held) <= 0.97


def test_overlapping_intervals_do_not_tell_two_agents_apart() -> None:
    low, middle, high = Interval(1.0, 0.0, 2.0), Interval(2.5, 1.9, 3.0), Interval(5.0, 4.0, 6.0)
    assert verdict("a", low, "b", middle) == NOT_DISTINGUISHABLE
    assert verdict("a", low, "b", high) == "b is better"
    assert verdict("a", high, "b", low) == "a is better"
    alone = bootstrap_interval([np.array([[3.0]])], median)
    assert np.isnan([alone.low, alone.high]).all()
    assert verdict("a", alone, "b", high) == NOT_DISTINGUISHABLE


def test_environments_are_drawn_apart() -> None:
    # Two environments of unlike size: a draw that mixed them would move the mean.
    easy, hard = np.full((1, 10), 100.0), np.full((1, 30), 0.0)
    assert bootstrap_interval([easy, hard], mean) == Interval(25.0, 25.0, 25.0)
