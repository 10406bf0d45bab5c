from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from effvit_edge.bench.statistics import SHARES, drift, latency, upper_bound


def test_percentiles_are_numpys() -> None:
    values = np.random.default_rng(0).lognormal(size=5000)
    found = latency(values)
    for quantile in found.percentiles:
        assert quantile.value == np.quantile(values, quantile.share)
    assert found.mean == pytest.approx(values.mean())
    assert (found.least, found.most) == (values.min(), values.max())
    assert [quantile.name for quantile in found.percentiles] == [
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
    ]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("count", [10, 101, 3000])
def test_intervals_are_scipys(share: float, count: int) -> None:
    """scipy has the same intervals, by another way to the binomial latency."""
    values = np.random.default_rng(count).exponential(size=count)
    expected = stats.quantile_test(values, q=np.quantile(values, share), p=share)
    interval = expected.confidence_interval(confidence_level=0.95)
    (found,) = latency(values, (share,)).percentiles
    wanted = [None if np.isnan(end) else end for end in interval]
    assert [found.low, found.high] == pytest.approx(wanted)


def test_intervals_hold_the_true_percentile_as_often_as_they_say() -> None:
    generator = np.random.default_rng(1)
    truth, hits, trials = -np.log(1 - 0.9), 0, 2000
    for _ in range(trials):
        (found,) = latency(generator.exponential(size=300), (0.9,)).percentiles
        assert found.low is not None and found.high is not None
        hits += found.low <= truth <= found.high
    # At least 95 %; the number of hits has a deviation of sqrt(0.95 * 0.05 / trials) = 0.5 %.
    assert hits / trials > 0.95 - 4 * np.sqrt(0.95 * 0.05 / trials)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60))
def test_percentiles_lie_in_order_and_within_their_intervals(values: list[float]) -> None:
    found = latency(np.array(values))
    ordered = [quantile.value for quantile in found.percentiles]
    assert ordered == sorted(ordered)
    for quantile in found.percentiles:
        assert found.least <= quantile.value <= found.most
        # Ends are measured values, and the percentile may lie between two of them.
        before, after = (np.quantile(values, quantile.share, method=m) for m in ("lower", "higher"))
        assert quantile.low is None or quantile.low <= after
        assert quantile.high is None or quantile.high >= before


@pytest.mark.parametrize(
    ("share", "least"),
    # MLPerf's load generator gives no estimate of fewer queries.
    [(0.9, 64), (0.99, 662)],
)
def test_mlperfs_estimate_needs_as_many_queries_as_theirs(share: float, least: int) -> None:
    values = np.arange(float(least))
    assert upper_bound(values[:-1], share) is None
    assert upper_bound(values, share) == least - 2  # with one value above it


def test_mlperfs_estimate_is_a_bound_of_99_percent() -> None:
    generator = np.random.default_rng(2)
    truth, trials = -np.log(1 - 0.9), 2000
    bounds = [upper_bound(generator.exponential(size=400)) for _ in range(trials)]
    assert np.mean([bound is not None and bound >= truth for bound in bounds]) > 0.98


def test_nothing_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing measured"):
        latency(np.array([]))


def test_a_million_latencies_are_summed_up() -> None:
    values = np.random.default_rng(3).normal(10, 1, size=1_000_000)
    quantile = latency(values).at(0.999)
    assert quantile.low is not None and quantile.high is not None
    assert quantile.low < stats.norm.ppf(0.999, 10, 1) < quantile.high


@given(st.integers(0, 2**32 - 1), st.sampled_from([200, 1000, 5000]))
def test_chance_is_no_drift(seed: int, count: int) -> None:
    values = np.random.default_rng(seed).lognormal(sigma=0.02, size=count)
    found = drift(values)
    assert found is not None and found <= 0.03


@pytest.mark.parametrize("slower", [1.05, 1.5])
def test_a_part_of_a_run_that_is_slower_is_seen(slower: float) -> None:
    values = np.random.default_rng(0).lognormal(sigma=0.02, size=2000)
    values[600:900] *= slower
    assert drift(values) == pytest.approx(slower - 1, abs=0.01)
    assert drift(np.linspace(10, 10 * slower, 2000)) == pytest.approx(0.9 * (slower - 1), rel=0.1)


def test_a_few_values_tell_no_drift() -> None:
    assert drift(np.ones(199)) is None
    assert drift(np.ones(200)) == 0
