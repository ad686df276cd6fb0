"""Bars straight from the hidden path: long histories without a single trade."""

import numpy as np
import pandas as pd

from features.bars import to_bars as checked_bars
from features.clock import NS_PER_S
from features.errors import SettingError
from features.sources.synthetic.activity import SIZE_ELASTICITY, relative_volatility, tilt, trade_rate
from features.sources.synthetic.factors import YEAR_S, Floats
from features.sources.synthetic.flow import EXCITATION
from features.sources.synthetic.latent import Latent


def to_bars(latent: Latent, symbol: str, bar_s: int, rng: np.random.Generator) -> pd.DataFrame:
    r"""Bars of the efficient price, not rounded to ticks, so that closes keep the oracle's law exactly.

    Within a step the price is a Brownian bridge: with :math:`E` exponential, the highest and lowest point are

    .. math:: \tfrac12 \left(a + b \pm \sqrt{(b - a)^2 + 2 \sigma^2 E}\right)

    The number of trades is negative binomial with the dispersion that :mod:`.flow` has in the long run.

    Parameters
    ----------
    latent : path whose step divides the bar; a bar begins at the first instant that is a multiple of its length.
    bar_s : length in seconds; a part of a bar at the end is left out.

    Raises
    ------
    SettingError
        If the path has no whole bar, or its instants miss the bars' edges.

    References
    ----------
    Beaglehole, Dybvig & Zhou (1997), "Going to extremes: correcting simulation bias in exotic option
    valuation", Financial Analysts Journal 53(1).

    Examples
    --------
    >>> from features.sources.synthetic import MarketSpec, simulate
    >>> path = simulate(MarketSpec(), 1_704_067_200_000_000_000, 3_600.0, 30.0, np.random.default_rng(7))
    >>> bars = to_bars(path, "ETH-SYN", 300, np.random.default_rng(8))
    >>> len(bars), bool((bars["high"] > bars["open"]).all())
    (12, True)
    """
    first, steps, count = _edges(latent, bar_s)
    span = slice(first, first + steps * count)

    def by_bar(values: Floats) -> Floats:
        return values[span].reshape(count, steps)

    price = latent.log_price[latent.spec.index(symbol)]
    start, end = by_bar(price[:-1]), by_bar(price[1:])
    spot = latent.spot_variance(symbol)
    variance = by_bar(0.5 * (spot[:-1] + spot[1:])) * latent.step_s / YEAR_S
    up, down = (np.sqrt((end - start) ** 2 + 2 * variance * rng.standard_exponential(variance.shape)) for _ in range(2))
    prices = np.exp([
        start[:, 0], (0.5 * (start + end + up)).max(axis=1), (0.5 * (start + end - down)).min(axis=1), end[:, -1],
    ])  # fmt: skip
    traded = _volume(latent, symbol, by_bar(trade_rate(latent, symbol)), by_bar(tilt(latent, symbol)), span, rng)
    trades, volume, bought = traded
    columns = dict(zip(("open", "high", "low", "close"), prices, strict=True))
    frame = pd.DataFrame({"ts_ns": latent.ts_ns[span][::steps], **columns, "volume": volume})
    frame = frame.assign(quote_volume=volume * prices.mean(axis=0), trades=trades, buy_volume=bought)
    return checked_bars(frame, f"synthetic {symbol}")


def _edges(latent: Latent, bar_s: int) -> tuple[int, int, int]:
    """First row of a bar, rows in a bar, number of bars."""
    step_ns, bar_ns = int(latent.ts_ns[1] - latent.ts_ns[0]), bar_s * NS_PER_S
    on_edge = np.flatnonzero(latent.ts_ns[: bar_ns // step_ns + 1] % bar_ns == 0)
    count = (len(latent.ts_ns) - 1 - int(on_edge[0])) * step_ns // bar_ns if on_edge.size else 0
    if bar_ns % step_ns or count < 1:
        raise SettingError(f"steps of {latent.step_s:g} s make no whole bar of {bar_s} s here; lengthen or align them")
    return int(on_edge[0]), bar_ns // step_ns, count


def _volume(
    latent: Latent, symbol: str, rate: Floats, side: Floats, span: slice, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Trades, base volume and what of it was bought, per bar; sizes of trades are exponential."""
    instrument = latent.spec.instruments[latent.spec.index(symbol)]
    expected = rate.sum(axis=1) * latent.step_s
    excess = EXCITATION.dispersion - 1.0
    trades = rng.poisson(excess * rng.standard_gamma(expected / excess))
    share = 0.5 * (1.0 + (rate * side).sum(axis=1) / rate.sum(axis=1))
    buys = rng.binomial(trades, share)
    relative = relative_volatility(latent, symbol)[:-1][span].reshape(rate.shape).mean(axis=1)
    size = instrument.trade_size * relative**SIZE_ELASTICITY
    bought, sold = (size * rng.standard_gamma(number) for number in (buys, trades - buys))
    return trades.astype(np.float64), bought + sold, bought
