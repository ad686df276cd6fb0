"""Trades and books of a synthetic market: the flow's law, a sound book, and trades that print at its touch."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.book import BookBuilder
from features.errors import SettingError
from features.schema import BOOK_DELTAS, SNAPSHOT, TRADES
from features.sources.synthetic import (
    Events,
    Excitation,
    Feed,
    Latent,
    MarketSpec,
    State,
    draw_events,
    simulate,
    stationary_rates,
)
from features.sources.synthetic.flow import thin

START = 1_704_067_200_000_000_000
TOUCH = ["bid_px_0", "bid_sz_0", "ask_px_0", "ask_sz_0"]


@pytest.fixture(scope="module")
def path() -> Latent:
    return simulate(MarketSpec(), START, 3_600.0, 0.1, np.random.default_rng(3))


@pytest.fixture(scope="module", params=MarketSpec().symbols)
def drawn(path: Latent, request: pytest.FixtureRequest) -> Events:
    return draw_events(path, request.param, np.random.default_rng(4))


def rebuilt(frame: pl.DataFrame, at_ns: np.ndarray, depth: int) -> tuple[np.ndarray, BookBuilder]:
    builder = BookBuilder(depth=depth)
    done, books = builder.deltas(frame, at_ns)
    _, last = builder.finish(at_ns[len(done) :])
    return np.vstack((books, last)), builder


@pytest.mark.parametrize("base", [(0.4, 0.4), (0.9, 0.2)])
def test_the_flow_has_hawkes_long_run_rates(base: tuple[float, float]) -> None:
    r"""Rates (I - A)^-1 mu; the count's variance over time is (I - A)^-1 diag(rates) (I - A)^-T in the long run."""
    excitation, hours = Excitation(), 100
    times, sides = thin(np.tile(base, (hours, 1)), 3_600.0, 0.5, 0.15, 2.0, np.random.default_rng(1))
    rates = stationary_rates(np.array(base), excitation)
    inverse = np.linalg.inv(np.eye(2) - excitation.matrix)
    covariance = inverse @ np.diag(rates) @ inverse.T
    for i, side in enumerate((1, -1)):
        error = np.sqrt(covariance[i, i] / (hours * 3_600))
        assert abs((sides == side).mean() * len(times) / (hours * 3_600) - rates[i]) < 4 * error
    counts = np.bincount((times / 60).astype(int), minlength=hours * 60)
    expected = covariance.sum() / rates.sum()
    assert expected > 5  # clustered: 1 would be Poisson's
    assert counts.var() / counts.mean() == pytest.approx(expected, rel=0.15)
    assert (np.diff(times) > 0).all()


def test_without_excitation_the_flow_is_poissons() -> None:
    times, _ = thin(np.full((50, 2), 1.0), 3_600.0, 0.0, 0.0, 1.0, np.random.default_rng(2))
    counts = np.bincount((times / 60).astype(int), minlength=3_000)
    assert counts.var() / counts.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / 3_000))
    assert counts.mean() == pytest.approx(120, abs=4 * np.sqrt(120 / 3_000))


def test_a_side_excites_itself_more_than_the_other() -> None:
    """The dispersion of bought less sold is (1 - own + cross)^-2, above 1 only where own exceeds cross."""
    for own, cross in ((0.5, 0.15), (0.15, 0.5)):
        times, sides = thin(np.full((400, 2), 0.2), 3_600.0, own, cross, 2.0, np.random.default_rng(3))
        net = np.bincount((times / 120).astype(int), sides, minlength=12_000)
        assert net.var() / (len(times) / 12_000) == pytest.approx((1 - own + cross) ** -2, rel=0.08)


def test_a_flow_that_would_explode_is_refused() -> None:
    for odd in ({"own": 0.9, "cross": 0.1}, {"own": -0.1}, {"decay_per_s": 0.0}):
        with pytest.raises(SettingError, match="less than 1 trade"):
            Excitation(**odd)


def test_rows_keep_the_rules_of_their_tables(drawn: Events) -> None:
    for table, frame in ((TRADES, drawn.trades), (BOOK_DELTAS, drawn.book_deltas)):
        assert frame.columns == list(table.columns)
        assert not frame.select(pl.any_horizontal(rule.broken for rule in table.rules).any()).item()
        assert frame["local_ns"].is_sorted()
        assert (frame["local_ns"] > frame["ts_ns"]).all()
    assert drawn.trades["ts_ns"].is_sorted()
    assert drawn.trades["seq"].to_list() == list(range(1, len(drawn.trades) + 1))


def test_the_rebuilt_book_is_the_intended_one_and_never_crossed(drawn: Events) -> None:
    at_ns = drawn.touch["ts_ns"].to_numpy()
    books, builder = rebuilt(drawn.book_deltas, at_ns, 1)
    np.testing.assert_array_equal(books, drawn.touch.select(TOUCH).to_numpy())
    assert (books[:, 0] < books[:, 2]).all()
    stats = builder.stats
    assert (stats.gaps, stats.crossed_s, stats.dropped_levels, stats.void_rows, stats.stale_rows) == (0, 0.0, 0, 0, 0)
    assert stats.snapshots == 61


def test_each_side_holds_a_window_of_ticks(path: Latent, drawn: Events) -> None:
    """Twenty levels a side, a tick apart, at every message; a twenty-first never."""
    at_ns = drawn.touch["ts_ns"].to_numpy()[::97]
    books, _ = rebuilt(drawn.book_deltas, at_ns, 21)
    tick = min(np.diff(np.unique(drawn.touch["bid_px_0"].round(6))).min(), 1.0)
    assert np.isnan(books[:, [40, 41, 82, 83]]).all()
    np.testing.assert_allclose(np.diff(books[:, 0:40:2], axis=1), -tick, rtol=1e-6)
    np.testing.assert_allclose(np.diff(books[:, 42:82:2], axis=1), tick, rtol=1e-6)
    assert (books[:, 1:40:2] > 0).all()


def test_snapshots_restate_the_book(drawn: Events) -> None:
    """From any snapshot on, the book is that of the whole feed."""
    flags = drawn.book_deltas["flags"].to_numpy()
    third = np.flatnonzero(flags == SNAPSHOT | 2)[3]
    at_ns = drawn.touch["ts_ns"].to_numpy()[3_000::50]
    late, _ = rebuilt(drawn.book_deltas[int(third) :], at_ns, 5)
    whole, _ = rebuilt(drawn.book_deltas, at_ns, 5)
    np.testing.assert_array_equal(late, whole)


def test_trades_print_at_the_touch(drawn: Events) -> None:
    at = drawn.trades.join_asof(drawn.touch.select("ts_ns", *TOUCH), on="ts_ns", strategy="backward")
    expected = pl.when(pl.col("side") == 1).then(pl.col("ask_px_0")).otherwise(pl.col("bid_px_0"))
    assert at.select((pl.col("price") == expected).all()).item()


def test_the_flow_leans_to_the_side_of_the_move(path: Latent, drawn: Events) -> None:
    """Signed flow of ten seconds against the return of the same ten seconds, and of the next."""
    start_ns = int(path.ts_ns[0])
    slot = ((drawn.trades["ts_ns"] - start_ns) // (10 * 10**9)).to_numpy()
    flow = np.bincount(slot, drawn.trades["side"].to_numpy(), minlength=360)[:360]
    mid = 0.5 * (drawn.touch["bid_px_0"] + drawn.touch["ask_px_0"]).to_numpy()[::100]
    move = np.diff(np.log(mid))
    assert np.corrcoef(flow, move)[0, 1] > 0.2
    assert abs(np.corrcoef(flow[:-1], move[1:])[0, 1]) < 4 / np.sqrt(360)  # the efficient price cannot be foreseen


def test_mid_follows_the_efficient_price(path: Latent) -> None:
    for i, symbol in enumerate(path.spec.symbols):
        touch = draw_events(path, symbol, np.random.default_rng(4)).touch
        bid, ask = (touch[name].to_numpy() for name in ("bid_px_0", "ask_px_0"))
        price = np.exp(path.log_price[i])
        assert ((bid <= price) & (price <= ask)).all()


def test_stress_widens_the_spread_and_thins_the_book() -> None:
    """The same market in a calm, a wild and a crashed state."""
    spec, rng = MarketSpec().first(1), np.random.default_rng(5)
    calm = State(0, 0.05, np.array([0.02]), np.zeros(1))
    crashed = replace(calm, crash=np.array([-0.06]))
    wild = State(1, 1.5, np.array([0.2]), np.zeros(1))
    mean = {}
    for name, state in (("calm", calm), ("wild", wild), ("crashed", crashed)):
        touch = draw_events(simulate(spec, START, 120.0, 0.1, rng, state), "BTC-SYN", rng).touch
        spread = touch.select((pl.col("ask_px_0") - pl.col("bid_px_0")).mean()).item()
        mean[name] = spread, touch.select((pl.col("bid_sz_0") + pl.col("ask_sz_0")).mean()).item()
    for stressed in ("wild", "crashed"):
        assert mean[stressed][0] > 1.5 * mean["calm"][0]
        assert mean[stressed][1] < 0.7 * mean["calm"][1]


def test_a_trade_takes_from_the_level_that_it_hits(drawn: Events) -> None:
    """Where the bid stays and was sold to, its size falls by what was sold, unless it was drawn anew: half the time."""
    message = ((drawn.trades["ts_ns"] - START) // 10**8).to_numpy()
    sold = np.where(drawn.trades["side"] == -1, drawn.trades["size"], 0.0)
    hit = np.bincount(message, sold, minlength=len(drawn.touch))[:-1]
    price, size = (drawn.touch[name].to_numpy() for name in ("bid_px_0", "bid_sz_0"))
    asked = (hit > 0) & (price[1:] == price[:-1]) & (size[:-1] > 1.5 * hit)
    falls = np.isclose(size[:-1] - size[1:], hit)[asked]
    assert len(falls) > 100
    assert abs(falls.mean() - 0.5) < 4 * 0.5 / np.sqrt(len(falls))


def test_the_same_seed_gives_the_same_events(path: Latent) -> None:
    first, again, other = (draw_events(path, "BTC-SYN", np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.trades.equals(again.trades)
    assert first.book_deltas.equals(again.book_deltas)
    assert not first.trades.equals(other.trades)


def test_the_feed_says_how_often_and_how_deep(path: Latent) -> None:
    drawn = draw_events(path, "ETH-SYN", np.random.default_rng(4), Feed(message_s=0.5, levels=3, snapshot_s=900.0))
    assert len(drawn.touch) == 7_201
    assert drawn.book_deltas.filter(pl.col("flags") == 3).height == 5
    books, _ = rebuilt(drawn.book_deltas, drawn.touch["ts_ns"].to_numpy()[::100], 4)
    assert np.isnan(books[:, 6]).all()
    assert not np.isnan(books[:, 4]).any()
    with pytest.raises(SettingError, match="steps that divide"):
        draw_events(path, "ETH-SYN", np.random.default_rng(4), Feed(message_s=0.25))
    with pytest.raises(SettingError, match="at least one level"):
        Feed(levels=0)
