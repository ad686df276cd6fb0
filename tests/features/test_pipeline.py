"""Grid, panel, targets and windows against slow loops and laws."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.clock import HOUR_NS, NS_PER_S, format_utc, month_starts, parse_utc
from features.errors import SettingError, ShortHistoryError, UnknownHorizonError
from features.grid import of_bars
from features.measures.variance import realised_variance
from features.panel import Panel
from features.pipeline import build_panel, compute_panel
from features.sources import sample
from features.spec import FeatureSpec
from features.store import Store
from features.windows import windows

BAR_NS = 900 * NS_PER_S


def test_an_absent_bar_carries_the_price_and_the_next_the_whole_move(bars: pd.DataFrame) -> None:
    whole = of_bars(bars.head(10), 900)
    holed = of_bars(bars.head(10).drop(index=[4, 5]), 900)
    assert holed.log_return[4] == holed.log_return[5] == 0
    assert holed.log_return[6] == pytest.approx(whole.log_return[4:7].sum())
    assert holed.missing.nonzero()[0].tolist() == [4, 5]
    assert holed.log_high[5] == holed.log_close[5] == whole.log_close[3]
    assert not holed.in_gap.any()  # half an hour is carried, no gap


def test_more_than_half_an_hour_without_trades_is_a_gap(bars: pd.DataFrame) -> None:
    frame = bars.head(12).copy()
    frame.loc[4:6, "volume"] = 0.0  # a bar without trades counts as absent
    assert of_bars(frame, 900).in_gap.nonzero()[0].tolist() == [4, 5, 6]


def test_features_equal_a_slow_loop(panel: Panel, bars: pd.DataFrame) -> None:
    close = bars.set_index("ts_ns")["close"]
    grid_ns = close.index[0] + BAR_NS * np.arange((close.index[-1] - close.index[0]) // BAR_NS + 1)
    log_close = np.log(close.reindex(grid_ns).ffill())
    returns = log_close.diff().to_numpy()
    for row in (0, 1_234, len(panel) - 1):
        past = returns[grid_ns + BAR_NS <= panel.origin_ns[row]]
        assert panel.column("log_rv_24h")[row] == pytest.approx(np.log(np.square(past[-96:]).sum() / 24), rel=1e-6)
        assert panel.column("log_return_1h")[row] == pytest.approx(past[-4:].sum(), rel=1e-5, abs=1e-9)
        down = np.square(np.minimum(past[-16:], 0)).sum() / np.square(past[-16:]).sum()
        assert panel.column("downside_4h")[row] == pytest.approx(down, abs=2e-3)


def test_targets_equal_a_slow_loop_over_bars_after_the_origin(panel: Panel, bars: pd.DataFrame) -> None:
    row = panel.first_row_from(parse_utc("2020-03-12T10:00"))
    opened = bars["ts_ns"].to_numpy()
    log_close = np.log(bars["close"].to_numpy())
    for h, horizon_s in enumerate(panel.spec.horizons_s):
        origin_ns = int(panel.origin_ns[row])
        inside = (opened >= origin_ns) & (opened < origin_ns + horizon_s * NS_PER_S)
        before = np.flatnonzero(opened < origin_ns)[-1]
        r = np.diff(log_close[[before, *np.flatnonzero(inside)]])
        assert panel.targets.realised_variance[row, h] == pytest.approx(realised_variance(r))
        assert panel.targets.log_return[row, h] == pytest.approx(r.sum())


def test_windows_that_touch_a_gap_are_not_scoreable(panel: Panel) -> None:
    # The outage of 2020-02-19: no bar from 11:45 to 17:15.
    known = np.isfinite(panel.targets.log_return[:, 1])
    at = {
        t: bool(known[panel.first_row_from(parse_utc(f"2020-02-19T{t}"))]) for t in ("07:00", "08:00", "17:00", "18:00")
    }
    assert at == {"07:00": True, "08:00": False, "17:00": False, "18:00": True}


def test_until_hides_windows_that_had_not_ended(panel: Panel) -> None:
    now_ns = parse_utc("2020-05-01T12:00")
    past = panel.until(now_ns)
    assert format_utc(int(past.origin_ns[-1])) == "2020-05-01T12:00:00Z"
    for h, horizon_s in enumerate(panel.spec.horizons_s):
        last_known = np.flatnonzero(np.isfinite(past.targets.log_return[:, h]))[-1]
        assert past.origin_ns[last_known] + horizon_s * NS_PER_S == now_ns


def test_a_panel_is_the_same_from_the_cache_and_its_arrays_are_mapped(
    store: Store, panel: Panel, tmp_path: Path
) -> None:
    spec = FeatureSpec()
    first = build_panel(store, sample.SERIES, spec, tmp_path)
    again = build_panel(store, sample.SERIES, spec, tmp_path)
    assert isinstance(again.values, np.memmap)
    np.testing.assert_array_equal(first.values, again.values)
    np.testing.assert_array_equal(panel.values, again.values)
    assert len(list(tmp_path.glob("panel-*"))) == 2  # the panel and its seal


def test_an_interrupted_panel_leaves_nothing(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_args: object, **_kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            build_panel(store, sample.SERIES, FeatureSpec(), tmp_path)
    assert not list(tmp_path.glob("[!.]*"))
    assert len(build_panel(store, sample.SERIES, FeatureSpec(), tmp_path)) > 0


def test_the_last_origin_is_the_last_close(bars: pd.DataFrame) -> None:
    whole = bars[bars["ts_ns"] < parse_utc("2020-04-01T07:00")]
    for bars_less, origin in ((0, "2020-04-01T07:00:00Z"), (1, "2020-04-01T06:00:00Z")):
        panel = compute_panel(whole.head(len(whole) - bars_less), "BTCUSDT", FeatureSpec())
        assert format_utc(int(panel.origin_ns[-1])) == origin


def test_too_short_a_history_says_how_much_is_missing(bars: pd.DataFrame) -> None:
    with pytest.raises(ShortHistoryError, match=r"longest look-back of 30 days and a row before it; give"):
        compute_panel(bars.head(2_000), "BTCUSDT", FeatureSpec())


def test_other_bars_than_the_spec_wants_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="import 300 s bars"):
        build_panel(store, sample.SERIES, FeatureSpec(bar_s=300), tmp_path)


@pytest.mark.parametrize("name", ["log_rv", "log_rv_0h", "log_rv_24", "nonsense_24h"])
def test_a_misnamed_feature_is_refused(name: str, bars: pd.DataFrame) -> None:
    with pytest.raises(SettingError, match=r"log_rv_24h|unknown feature family"):
        compute_panel(bars, "BTCUSDT", FeatureSpec(features=(name,)))


def test_unknown_columns_and_horizons_are_refused(panel: Panel) -> None:
    with pytest.raises(SettingError, match="no 'log_rv_2h'"):
        panel.column("log_rv_2h")
    with pytest.raises(UnknownHorizonError, match="horizon_s=7200; known: 3600, 14400"):
        panel.horizon_index(7_200)
    with pytest.raises(SettingError, match="choose horizons"):
        FeatureSpec(horizons_s=(5_000,))
    with pytest.raises(SettingError, match="do not divide the 3600 s"):
        FeatureSpec(bar_s=7_200)


def test_the_hash_of_a_spec_depends_on_every_field() -> None:
    hashes = {FeatureSpec().hash, FeatureSpec(horizons_s=(3_600,)).hash, FeatureSpec(features=("weekend",)).hash}
    assert len(hashes) == 3
    assert FeatureSpec.from_json({**_json(FeatureSpec())}).hash == FeatureSpec().hash


def _json(spec: FeatureSpec) -> dict[str, object]:
    return {
        "bar_s": spec.bar_s,
        "horizons_s": list(spec.horizons_s),
        "features": list(spec.features),
    }


def test_windows_are_views(panel: Panel) -> None:
    values = np.array(panel.values)
    view = windows(values, 24)
    assert view.shape == (len(values) - 23, 24, values.shape[1])
    assert np.shares_memory(view, values)
    np.testing.assert_array_equal(view[100], values[100:124])
    with pytest.raises(ShortHistoryError):
        windows(values[:5], 6)


def test_month_starts_and_rounding() -> None:
    starts = month_starts(parse_utc("2021-12-15T06:00"), parse_utc("2022-02-01"))
    assert [format_utc(t) for t in starts] == ["2021-12-15T06:00:00Z", "2022-01-01T00:00:00Z", "2022-02-01T00:00:00Z"]
    assert (starts[1] - starts[0]) % HOUR_NS == 0
    with pytest.raises(SettingError, match="yesterday"):
        parse_utc("yesterday")


def test_origins_after_a_gap_are_blind_for_a_day(panel: Panel) -> None:
    # The outage of 2020-02-19: no bar from 11:45 to 17:15.
    at = {
        t: bool(panel.blind[panel.first_row_from(parse_utc(f"2020-02-{t}"))])
        for t in ("19T11:00", "19T13:00", "20T17:00", "20T18:00")
    }
    assert at == {"19T11:00": False, "19T13:00": True, "20T17:00": True, "20T18:00": False}


def test_a_long_hole_blinds_for_as_long_as_it_weighs(bars: pd.DataFrame) -> None:
    start, stop = parse_utc("2020-04-01"), parse_utc("2020-04-04")
    holed = bars[(bars["ts_ns"] < start) | (bars["ts_ns"] >= stop)].reset_index(drop=True)
    panel = compute_panel(holed, "BTCUSDT", FeatureSpec())
    # Three days of thirty are more than a twentieth; one day and a half of thirty are not.
    blind = {
        d: bool(panel.blind[panel.first_row_from(parse_utc(d))])
        for d in ("2020-04-01", "2020-04-08", "2020-05-02", "2020-05-03")
    }
    assert blind == {"2020-04-01": False, "2020-04-08": True, "2020-05-02": True, "2020-05-03": False}


def test_every_row_of_a_short_spec_is_complete(bars: pd.DataFrame) -> None:
    """The volume's usual level is a look-back of its own."""
    panel = compute_panel(bars, "BTCUSDT", FeatureSpec(features=("log_rv_1h", "log_volume_1h")))
    assert np.isfinite(panel.values).all()
