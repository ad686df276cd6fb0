"""Outcomes against the scoring program on real bars, and against loops that can be read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from backtests.outcomes import HORIZONS_S, bars_file, grid_of_file, hours_of, outcomes_of, stored_grid, stored_outcomes
from features.bars import to_bars
from features.clock import HOUR_NS, parse_utc
from features.errors import MissingFileError, SettingError, ShortHistoryError, UnknownInstrumentError
from features.grid import of_bars
from features.store import Series, Store
from tests.references.referee import SCORE, load_referee

SHARED = SCORE.parents[1] / "data"
THEIRS = {
    "realised_variance": "rv",
    "log_return": "ret",
    "excursion_up": "up",
    "excursion_down": "dn",
    "trailing_variance": "trail",
    "quarticity": "rq",
}


@pytest.mark.parametrize("symbol", ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT"])
def test_outcomes_are_those_of_the_scoring_program(symbol: str) -> None:
    referee = load_referee()
    path = bars_file(SHARED / "bars_5m", symbol)
    origin_ns = hours_of(parse_utc("2021-01-01"), parse_utc("2025-06-29T23:00"))
    ours = outcomes_of(grid_of_file(path), origin_ns, (3_600, 86_400))
    bars = referee.Bars(path)
    for horizon_s, outcomes in ours.items():
        theirs = bars.targets(origin_ns // 1_000_000, horizon_s)
        ok = theirs["ok"]
        np.testing.assert_array_equal(outcomes.scoreable, ok)
        assert ok.sum() > 39_000
        for name, key in THEIRS.items():
            np.testing.assert_allclose(getattr(outcomes, name)[ok], theirs[key][ok], rtol=0, atol=1e-12)
            assert np.isnan(getattr(outcomes, name)[~ok]).all()


@pytest.fixture
def holed() -> pd.DataFrame:
    """Eight days of 5-minute bars with a carried hole, a bar without volume and a gap."""
    rng = np.random.default_rng(2)
    close = 100 * np.exp(np.cumsum(1e-3 * rng.standard_normal(288 * 8)))
    opened = np.concatenate([[100.0], close[:-1]])
    frame = pd.DataFrame(
        {
            "ts_ms": parse_utc("2021-01-01") // 1_000_000 + 300_000 * np.arange(len(close)),
            "open": opened,
            "high": np.maximum(opened, close) * 1.0005,
            "low": np.minimum(opened, close) * 0.9995,
            "close": close,
            "volume": 1.0,
        }
    )
    frame.loc[200, "volume"] = 0.0
    return frame.drop(index=[*range(700, 706), *range(1_301, 1_308)]).reset_index(drop=True)


def by_loop(live: dict[int, pd.Series], origin_ms: int, n_bars: int) -> dict[str, float] | None:
    """The protocol word for word, of bars with volume by their opening; None where the window is not scoreable."""
    first, last = min(live), max(live)

    def price(t: int) -> float:
        while t - 300_000 not in live:
            t -= 300_000
        return float(np.log(live[t - 300_000].close))

    def in_gap(t: int) -> bool:
        before, after = t, t
        while before not in live:
            before -= 300_000
        while after not in live:
            after += 300_000
        return (after - before) // 300_000 - 1 > 6

    ends = [origin_ms + 300_000 * (j + 1) for j in range(n_bars)]
    if origin_ms - 300_000 < first or ends[-1] - 300_000 > last:
        return None
    if any(in_gap(t - 300_000) for t in [origin_ms, *ends]):
        return None
    moves = [price(t) - price(t - 300_000) for t in ends]
    inside = [live[t - 300_000] for t in ends if t - 300_000 in live]
    back = [t for t in (origin_ms - 300_000 * j for j in range(288)) if t - 300_000 > first]
    start = price(origin_ms)
    return {
        "realised_variance": sum(m**2 for m in moves),
        "quarticity": sum(m**4 for m in moves),
        "log_return": price(ends[-1]) - start,
        "excursion_down": max(0.0, start - min(np.log(r.low) for r in inside)),
        "excursion_up": max(0.0, max(np.log(r.high) for r in inside) - start),
        "trailing_variance": sum((price(t) - price(t - 300_000)) ** 2 for t in back),
    }


def test_outcomes_are_those_of_a_loop_over_the_bars(holed: pd.DataFrame) -> None:
    origin_ns = hours_of(parse_utc("2020-12-31T22:00"), parse_utc("2021-01-09T02:00"))
    found = outcomes_of(of_bars(to_bars(holed, "holed"), 300), origin_ns, (3_600, 14_400))
    live = {int(bar["ts_ms"]): bar for _, bar in holed.iterrows() if bar["volume"] > 0}
    for horizon_s, outcomes in found.items():
        for row, origin in enumerate(origin_ns):
            expected = by_loop(live, int(origin) // 1_000_000, horizon_s // 300)
            assert outcomes.scoreable[row] == (expected is not None)
            if expected is not None:
                got = {name: getattr(outcomes, name)[row] for name in expected}
                assert got == pytest.approx(expected, rel=1e-9, abs=1e-14)
    not_scored = found[3_600].scoreable.size - found[3_600].scoreable.sum()
    assert not_scored == 3 + 3 + 2  # before the bars, after them, and around the gap that ends at 109 h
    assert found[3_600].scoreable[58 + 2]  # a hole of half an hour is none


def test_no_hour_of_a_long_period_is_lost() -> None:
    """A count of steps in floating point loses the last of many hours."""
    first, last = parse_utc("2021-01-01"), parse_utc("2025-06-29T23:00")
    hours = hours_of(first - 5, last + 5)
    assert (hours[0], hours[-1], len(hours)) == (first, last, (last - first) // HOUR_NS + 1)
    assert (np.diff(hours) == HOUR_NS).all()


def test_stored_bars_give_the_outcomes_of_their_frame(bars: pd.DataFrame, store: Store) -> None:
    period = (parse_utc("2020-03-01"), parse_utc("2020-04-01"))
    stored = stored_outcomes(store.root, ["BTCUSDT"], *period, bar_s=900)["BTCUSDT"]
    own = outcomes_of(of_bars(bars, 900), hours_of(*period), HORIZONS_S)
    assert list(stored) == [3_600, 14_400, 28_800, 86_400]
    for horizon_s, outcomes in stored.items():
        assert outcomes.n_bars == horizon_s // 900
        np.testing.assert_array_equal(outcomes.realised_variance, own[horizon_s].realised_variance)
    with pytest.raises(UnknownInstrumentError, match="it has them of: none"):
        stored_grid(store.root, "BTCUSDT", bar_s=300)
    with pytest.raises(UnknownInstrumentError, match="it has them of: BTCUSDT"):
        stored_grid(store.root, "ETHUSDT", bar_s=900)


def test_two_venues_must_be_told_apart(bars: pd.DataFrame, tmp_path: Path) -> None:
    for venue in ("one", "two"):
        Store(tmp_path).write(Series(venue, "BTCUSDT", 900), bars.iloc[:500])
    with pytest.raises(SettingError, match="one, two have it; name the venue"):
        stored_grid(tmp_path, "BTCUSDT", bar_s=900)
    assert stored_grid(tmp_path, "BTCUSDT", "two", 900).bar_s == 900


def test_bar_files_are_found_and_their_rows_off_the_grid_left_out(holed: pd.DataFrame, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"holds no SIM\.parquet"):
        bars_file(tmp_path, "SIM")
    for venue in ("b", "a"):
        (tmp_path / venue).mkdir()
        odd = holed.iloc[[5]].assign(ts_ms=holed["ts_ms"].iloc[5] + 7_000)
        pd.concat([holed, odd]).sort_values("ts_ms").to_parquet(tmp_path / venue / "SIM.parquet")
    with pytest.raises(SettingError, match="name the folder of one venue"):
        bars_file(tmp_path, "SIM")
    grid = grid_of_file(bars_file(tmp_path / "a", "SIM"))
    np.testing.assert_array_equal(grid.log_close, of_bars(to_bars(holed, "holed"), 300).log_close)
    odd.to_parquet(tmp_path / "ODD.parquet")
    with pytest.raises(ShortHistoryError, match="no row lies on the grid"):
        grid_of_file(tmp_path / "ODD.parquet")
