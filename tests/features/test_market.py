"""Several instruments on one clock, and the outcomes of their rows against slow loops."""

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from features.clock import NS_PER_S
from features.errors import SettingError
from features.grid import Grid
from features.market import Market
from features.measures.kernel import realised_kernel
from features.pipeline import Frames, compute_panels
from features.schema import TRADES
from features.spec import MAX_CARRY_S, FeatureSpec
from features.targets import LEAST_VARIANCE, Targets, compute_targets

START_NS = 1_600_000_020 * NS_PER_S
Floats = NDArray[np.float64]


def grid(seed: int, bar_s: int, n: int = 400) -> Grid:
    """Random prices with short and long holes, a time that stands still, and no price at first."""
    rng = np.random.default_rng(seed)
    missing = np.zeros(n)
    for start, rows in ((40, 1), (90, MAX_CARRY_S // bar_s), (150, MAX_CARRY_S // bar_s + 1), (300, 2)):
        missing[start : start + rows] = 1.0
    moves = np.where((missing > 0) | (np.arange(n) // 20 == 10), 0.0, 1e-3 * rng.standard_normal(n))
    close = 4.0 + np.cumsum(moves)
    away = np.where(moves != 0, np.abs(1e-3 * rng.standard_normal((2, n))), 0.0)
    before = np.append(close[0], close[:-1])
    high, low = np.maximum(close, before) + away[0], np.minimum(close, before) - away[1]
    log_return = np.diff(close, prepend=np.nan)
    for values in (close, high, low, log_return):
        values[:3] = np.nan
    log_return[3], missing[:3] = np.nan, 1.0
    return Grid(int(rng.integers(10**6, 10**7)), bar_s, close, high, low, log_return, missing)


def slow_targets(grid: Grid, origin_ns: int, horizon_s: int) -> tuple[float, ...]:
    """One window from its words."""
    step_ns, n = grid.bar_s * NS_PER_S, len(grid.log_close)
    inside = [i for i in range(n) if origin_ns <= grid.start_ns + i * step_ns < origin_ns + horizon_s * NS_PER_S]
    nothing = (np.nan,) * 5
    if len(inside) * step_ns != horizon_s * NS_PER_S or inside[0] == 0:
        return nothing
    start = inside[0] - 1
    for i in (start, *inside):  # no row of the window, nor the one before, lies in a gap
        first, last = i, i
        while first > 0 and grid.missing[i] and grid.missing[first - 1]:
            first -= 1
        while last < n - 1 and grid.missing[i] and grid.missing[last + 1]:
            last += 1
        if np.isnan(grid.log_close[i]) or (grid.missing[i] and last - first + 1 > MAX_CARRY_S // grid.bar_s):
            return nothing
    r = np.array([grid.log_close[i] - grid.log_close[i - 1] for i in inside])
    if not sum(r * r) > LEAST_VARIANCE:
        return nothing
    kernel = max(float(realised_kernel(r, 5)), 0.0) if len(r) > 6 else np.nan
    origin = grid.log_close[start]
    down = max(0.0, *(origin - grid.log_low[i] for i in inside))
    up = max(0.0, *(grid.log_high[i] - origin for i in inside))
    return sum(r * r), kernel, grid.log_close[inside[-1]] - origin, down, up


@pytest.mark.parametrize("bar_s", [60, 300, 900])
@pytest.mark.parametrize("rows", [1, 2, 6, 7, 30])
def test_every_outcome_is_that_of_a_slow_loop(bar_s: int, rows: int) -> None:
    prices = grid(rows, bar_s)
    origin_ns = prices.start_ns + np.arange(len(prices.log_close) + 1) * bar_s * NS_PER_S
    found = compute_targets(prices, origin_ns, (rows * bar_s,))
    expected = np.array([slow_targets(prices, int(t), rows * bar_s) for t in origin_ns]).T
    assert len(found.arrays) == len(expected)
    for (name, values), wanted in zip(found.arrays.items(), expected, strict=True):
        np.testing.assert_allclose(values[:, 0], wanted, rtol=1e-9, atol=1e-15, err_msg=name)
    known = np.isfinite(expected[0])
    assert known.any()
    assert not known.all()
    assert not known[-rows:].any()


def test_the_kernel_keeps_a_seventh_of_the_noise_that_realised_variance_counts() -> None:
    """A bid-ask bounce of size w on a random walk of known variance: closed forms of both means.

    Returns have noise of variance 2 w^2 and autocovariance -w^2, so n returns add 2 n w^2 to the realised variance,
    and 2 n w^2 (1 - k(1/6)) to the kernel of five lags; Parzen's k(x) = 1 - 6 x^2 + 6 x^3 for x below a half.
    """
    rng = np.random.default_rng(2)
    n, daily, noise = 400_000, 1e-4, 3e-4
    walk = np.cumsum(rng.normal(0, np.sqrt(daily / 1_440), n)) + 9.0
    seen = walk + noise * rng.choice([-1.0, 1.0], n)
    prices = Grid(0, 60, seen, seen, seen, np.diff(seen, prepend=np.nan), np.zeros(n))
    origin_ns = np.arange(1_440, n - 1_440, 1_440) * 60 * NS_PER_S
    found = compute_targets(prices, origin_ns, (86_400,))
    bias = 2 * 1_440 * noise**2
    kept = 6 / 6**2 - 6 / 6**3
    assert found.realised_variance.mean() == pytest.approx(daily + bias, rel=0.02)
    assert found.kernel_variance.mean() == pytest.approx(daily + kept * bias, rel=0.02)


def test_outcomes_of_windows_that_end_later_are_hidden() -> None:
    prices = grid(1, 60)
    origin_ns = prices.start_ns + np.arange(5, 390) * 60 * NS_PER_S
    horizons_s = (60, 600)
    found = compute_targets(prices, origin_ns, horizons_s)
    for row in (0, 50, 384):
        now_ns = int(origin_ns[row])
        past = found.until(origin_ns, horizons_s, now_ns)
        for name, values in past.arrays.items():
            for h, horizon_s in enumerate(horizons_s):
                ended = origin_ns + horizon_s * NS_PER_S <= now_ns
                assert np.isnan(values[~ended, h]).all()
                np.testing.assert_array_equal(values[ended, h], found.arrays[name][ended, h])


@pytest.mark.parametrize("n", [1, 2, 5, 6, 7])
def test_a_grid_of_few_rows_has_few_outcomes_and_no_trouble(n: int) -> None:
    close = np.linspace(1.0, 1.1, n)
    prices = Grid(7, 60, close, close, close, np.diff(close, prepend=np.nan), np.zeros(n))
    origin_ns = prices.start_ns + np.arange(1, n + 1) * 60 * NS_PER_S
    found = compute_targets(prices, origin_ns, (60, 240))
    assert isinstance(found, Targets)
    assert np.isfinite(found.log_return).sum(axis=0).tolist() == [max(n - 1, 0), max(n - 4, 0)]


def trades(seed: int, first_s: float, seconds: int, per_s: int = 2) -> pl.DataFrame:
    """Trades at even times; log prices walk."""
    rng = np.random.default_rng(seed)
    n = seconds * per_s
    ts_ns = START_NS + round(first_s * NS_PER_S) + np.arange(n) * NS_PER_S // per_s
    price = 100.0 * np.exp(np.cumsum(1e-3 * rng.standard_normal(n)))
    return TRADES.conform(pl.DataFrame({"ts_ns": ts_ns, "price": price, "size": 1.0, "side": 1}))


LED = FeatureSpec(1, (5,), ("log_rv_5s", "L.log_rv_5s", "L.log_return_3s", "L.beta_8s"), 1, "trade", 2, 5, 20)


def test_a_leader_s_features_are_its_own_at_the_same_time() -> None:
    frames: dict[str, Frames] = {"A": {"trades": [trades(1, 3.0, 60)]}, "L": {"trades": [trades(2, 0.0, 90)]}}
    own = FeatureSpec(1, (5,), ("log_rv_5s", "log_return_3s"), 1, "trade", 2, 5, 20)
    follower, leader = compute_panels(frames, ("A",), LED)["A"], compute_panels({"L": frames["L"]}, ("L",), own)["L"]
    both, at, of = np.intersect1d(follower.origin_ns, leader.origin_ns, return_indices=True)
    assert len(both) == len(follower) > 40
    for j in (0, 1):
        np.testing.assert_array_equal(follower.values[at, j + 1], leader.values[of, j])
    assert (follower.values[:, 0] != follower.values[:, 1]).any()


def test_a_pause_of_the_leader_leaves_its_features_unknown_and_the_follower_s_alone() -> None:
    parts = pl.concat([trades(2, 0.0, 40), trades(3, 100.0, 40)])  # 60 s without: longer than pause_s
    alone = compute_panels(
        {"A": {"trades": [trades(1, 0.0, 140)]}, "L": {"trades": [trades(2, 0.0, 140)]}}, ("A",), LED
    )
    paused = compute_panels({"A": {"trades": [trades(1, 0.0, 140)]}, "L": {"trades": [parts]}}, ("A",), LED)
    np.testing.assert_array_equal(alone["A"].origin_ns, paused["A"].origin_ns)
    np.testing.assert_array_equal(alone["A"].values[:, 0], paused["A"].values[:, 0])
    second = (paused["A"].origin_ns - START_NS) // NS_PER_S
    known = np.isfinite(paused["A"].values[:, 1])
    assert known[(second > 10) & (second <= 60)].all()  # its session lasts a pause beyond its last trade
    assert not known[(second > 60) & (second <= 105)].any()  # the first whole window has its first return
    assert known[second > 105].all()
    np.testing.assert_array_equal(paused["A"].blind[~known], True)


def test_an_instrument_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingError, match="no data of L"):
        Market(LED, {"A": ("trades",)}, ("A",))
    with pytest.raises(SettingError, match="no data of A"):
        Market(LED, {"L": ("trades",)}, ("A",))


def test_an_instrument_that_nobody_asked_for_is_refused() -> None:
    frames: dict[str, Frames] = {s: {"trades": [trades(1, 0.0, 60)]} for s in ("A", "L", "Z")}
    with pytest.raises(SettingError, match="Z: neither wanted nor leading"):
        compute_panels(frames, ("A",), LED)
