"""The hidden path of a synthetic market: regimes, variances, crashes and efficient prices on a grid."""

import math
from dataclasses import dataclass

import numpy as np

from features.clock import NS_PER_S
from features.errors import SettingError
from features.sources.synthetic.factors import Factor, Floats
from features.sources.synthetic.spec import MarketSpec
from features.sources.synthetic.walks import Ints, crash_path, factor_path


@dataclass(frozen=True, slots=True)
class State:
    """Everything that the law of the future depends on.

    Parameters
    ----------
    regime : of the market.
    market_variance : annual variance of the market's diffusion.
    own_variance, crash : arrays of shape (k,), annual variance of each own diffusion, and what of past
        crashes each log price has not recovered (at most 0).
    """

    regime: int
    market_variance: float
    own_variance: Floats
    crash: Floats


@dataclass(frozen=True, slots=True)
class Latent:
    """Hidden states and efficient log prices at n instants of k instruments.

    Parameters
    ----------
    ts_ns : array of shape (n,), equidistant, int64 nanoseconds UTC.
    regime, market_variance, market : arrays of shape (n,): regime, annual variance and log price of the market.
    own_variance, crash, log_price : arrays of shape (k, n); ``log_price`` is of the price itself.
    """

    spec: MarketSpec
    ts_ns: Ints
    regime: Ints
    market_variance: Floats
    market: Floats
    own_variance: Floats
    crash: Floats
    log_price: Floats

    @property
    def step_s(self) -> float:
        """Time between instants."""
        return float(self.ts_ns[1] - self.ts_ns[0]) / NS_PER_S

    def state(self, row: int) -> State:
        """The state at one instant."""
        own, crash = self.own_variance[:, row].copy(), self.crash[:, row].copy()
        return State(int(self.regime[row]), float(self.market_variance[row]), own, crash)

    def spot_variance(self, symbol: str) -> Floats:
        """Annual variance of an instrument's diffusion at each instant, shape (n,)."""
        i = self.spec.index(symbol)
        spot: Floats = self.spec.instruments[i].beta ** 2 * self.market_variance + self.own_variance[i]
        return spot

    def log_return(self, symbol: str, rows: Ints, horizon_s: float) -> Floats:
        """Change of the log price over a horizon from some rows, shape (len(rows),); NaN where the path ends before.

        Raises
        ------
        SettingError
            If the horizon is not a whole number of steps.
        """
        price, steps = self.log_price[self.spec.index(symbol)], round(horizon_s / self.step_s)
        if steps < 1 or abs(steps * self.step_s - horizon_s) > 1e-6:
            raise SettingError(f"a horizon of {horizon_s:g} s is no whole number of steps of {self.step_s:g} s")
        ends = np.minimum(rows + steps, len(price) - 1)
        return np.where(rows + steps < len(price), price[ends] - price[rows], np.nan)


def draw_state(spec: MarketSpec, rng: np.random.Generator) -> State:
    """A state to start from: the regime from its long-run law, variances from that of a regime that lasts."""

    def settled(factor: Factor, regime: int) -> float:
        shape = 2.0 * factor.reversion * factor.levels[regime] / factor.vol_of_vol**2
        return float(factor.levels[regime] * rng.standard_gamma(shape) / shape)

    regime = int(rng.choice(len(spec.market.levels), p=spec.market.stationary))
    own = np.array([settled(instrument.own, 0) for instrument in spec.instruments])
    return State(regime, settled(spec.market, regime), own, np.zeros(len(own)))


def _check_state(spec: MarketSpec, state: State) -> None:
    """Refuse a state of another market, or one that no path comes to."""
    shape = (len(spec.symbols),)
    if state.own_variance.shape != shape or state.crash.shape != shape:
        raise SettingError(f"a state of {len(spec.symbols)} instruments has own_variance and crash of shape {shape}")
    variances = np.append(state.own_variance, state.market_variance)
    good = np.isfinite(variances).all() and (variances >= 0).all() and np.isfinite(state.crash).all()
    if not (good and (state.crash <= 0).all() and 0 <= state.regime < len(spec.market.levels)):
        raise SettingError("a state has variances of at least 0, crashes of at most 0 and a regime of the market")


def simulate(
    spec: MarketSpec,
    start_ns: int,
    duration_s: float,
    step_s: float,
    rng: np.random.Generator,
    start: State | None = None,
) -> Latent:
    """Draw a path of the whole market at ``start_ns``, ``start_ns + step_s``, ... up to ``duration_s`` later.

    Parameters
    ----------
    step_s : time between instants; what happens between them (regimes, jumps, crashes) is drawn exactly.
    start : state at the first instant; drawn if absent.

    Raises
    ------
    SettingError
        If the duration is not at least one whole step, the step not a whole number of nanoseconds, or
        ``start`` no state of this market.

    Examples
    --------
    >>> path = simulate(MarketSpec(), 0, 60.0, 1.0, np.random.default_rng(7))
    >>> path.log_price.shape, path.step_s
    ((3, 61), 1.0)
    """
    n, step_ns = round(duration_s / step_s) if step_s > 0 else 0, round(step_s * NS_PER_S)
    if n < 1 or abs(n * step_s - duration_s) > 1e-6 * step_s or abs(step_ns - step_s * NS_PER_S) > 1e-3:
        raise SettingError(f"{duration_s:g} s is no whole number of steps of {step_s:g} s; choose a step that divides")
    state = start or draw_state(spec, rng)
    _check_state(spec, state)
    regime, variance, market = factor_path(spec.market, state.regime, state.market_variance, n, step_s, rng)
    own_variance, crash, log_price = (np.empty((len(spec.symbols), n + 1)) for _ in range(3))
    for i, item in enumerate(spec.instruments):
        _, own_variance[i], own = factor_path(item.own, 0, float(state.own_variance[i]), n, step_s, rng)
        crash[i] = crash_path(item.crash, float(state.crash[i]), n, step_s, rng)
        log_price[i] = math.log(item.price) + item.beta * market + own + crash[i]
    ts_ns = start_ns + step_ns * np.arange(n + 1, dtype=np.int64)
    return Latent(spec, ts_ns, regime, variance, market, own_variance, crash, log_price)
