"""The oracle: who knows the hidden state knows the law of what comes, to eight digits of probability."""

from dataclasses import dataclass

import numpy as np

from features.errors import SettingError
from features.sources.synthetic import cosine
from features.sources.synthetic.conditional import Rows, moments_of
from features.sources.synthetic.factors import YEAR_S, Floats
from features.sources.synthetic.latent import Latent
from features.sources.synthetic.series import series_of
from features.sources.synthetic.spec import Instrument, MarketSpec
from features.sources.synthetic.walks import Ints

LEVELS = (0.005, 0.01, 0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975, 0.99, 0.995)


@dataclass(frozen=True, slots=True)
class Truth:
    """The law of the log return over each horizon after each origin.

    Parameters
    ----------
    origin_ns : array of shape (n,); horizons_s of length h; levels of length q.
    mean, variance : arrays of shape (n, h), of the log return over the horizon, not annualised.
    quadratic_variation : array of shape (n, h), what realised variance estimates; less the variance by what
        crashes recover within the horizon.
    quantiles, shortfall : arrays of shape (n, h, q), signed log returns; the shortfall is the mean below the
        quantile for levels up to one half, above it for higher ones.
    """

    origin_ns: Ints
    horizons_s: tuple[int, ...]
    levels: tuple[float, ...]
    mean: Floats
    variance: Floats
    quadratic_variation: Floats
    quantiles: Floats
    shortfall: Floats


@dataclass(frozen=True, slots=True)
class Oracle:
    """Answers the true law of a synthetic market's returns from its hidden states."""

    spec: MarketSpec

    def forecast(
        self,
        latent: Latent,
        symbol: str,
        rows: Ints,
        horizons_s: tuple[int, ...] = (3_600, 14_400, 28_800, 86_400),
        levels: tuple[float, ...] = LEVELS,
    ) -> Truth:
        """The law from rows of a path, for one instrument.

        Raises
        ------
        SettingError
            If a level is not between 0 and 1, or a horizon not positive, or the symbol is not known.
        """
        if not all(0 < level < 1 for level in levels) or not all(h > 0 for h in horizons_s):
            raise SettingError("levels lie between 0 and 1, and horizons are positive")
        instrument, states = self._states(latent, symbol, rows)
        shape = (len(rows), len(horizons_s))
        mean, variance, variation = (np.empty(shape) for _ in range(3))
        quantiles, shortfall = (np.empty((*shape, len(levels))) for _ in range(2))
        for k, horizon_s in enumerate(horizons_s):
            moments = moments_of(self.spec.market, instrument, states, horizon_s / YEAR_S)
            mean[:, k], variance[:, k], variation[:, k] = moments.mean, moments.variance, moments.quadratic_variation
            for part in series_of(self.spec.market, instrument, states, moments, horizon_s / YEAR_S):
                q, es = (np.empty((len(part.rows), len(levels))) for _ in range(2))
                cosine.tails(part.coefficients, part.width, part.mean, np.array(levels), q, es)
                shift = (part.left + moments.recovery[part.rows])[:, None]
                quantiles[part.rows, k], shortfall[part.rows, k] = q + shift, es + shift
        origin_ns = latent.ts_ns[rows]
        return Truth(origin_ns, horizons_s, levels, mean, variance, variation, quantiles, shortfall)

    def distribution(self, latent: Latent, symbol: str, rows: Ints, horizon_s: float, log_return: Floats) -> Floats:
        """Probability that the return over a horizon falls short of a value: with the return that came, its PIT."""
        instrument, states = self._states(latent, symbol, rows)
        moments = moments_of(self.spec.market, instrument, states, horizon_s / YEAR_S)
        result = np.empty(len(rows))
        for part in series_of(self.spec.market, instrument, states, moments, horizon_s / YEAR_S):
            out = np.empty(len(part.rows))
            z = log_return[part.rows] - moments.recovery[part.rows] - part.left
            cosine.distribution(part.coefficients, part.width, z, out)
            result[part.rows] = out
        result[np.isnan(log_return)] = np.nan
        return result

    def _states(self, latent: Latent, symbol: str, rows: Ints) -> tuple[Instrument, Rows]:
        i = self.spec.index(symbol)
        whole = Rows(latent.regime, latent.market_variance, latent.own_variance[i], latent.crash[i])
        return self.spec.instruments[i], whole.take(rows)
