"""Value of every option under every scenario, in one pass of the compiled Black-76 kernel."""

from typing import Final

import numpy as np

from serving.margin.charge import FloatArray
from serving.margin.pricing.black import revalue_options
from serving.margin.rules.derive_portfolio.parameters import Parameters, Scenario
from serving.margin.rules.derive_portfolio.portfolio import Portfolio
from serving.margin.rules.derive_portfolio.shocks import discounts, skew_factors, skew_width, volatility_factors

NOW: Final = Scenario(1.0, "none")


def option_values(portfolio: Portfolio, scenarios: tuple[Scenario, ...], parameters: Parameters) -> FloatArray:
    """Value one unit of each option under each scenario, discounted; shape (s, p).

    Only the part of a forward that the settlement average has not fixed moves with spot;
    under a skew it does not move at all.
    """
    options = portfolio.options
    years, rate = by_option(portfolio, "years"), by_option(portfolio, "rate")
    factor = forward_factors(portfolio, scenarios)
    with np.errstate(divide="ignore"):  # a forward of nothing has a logarithm of -inf, which the kernel knows
        log_factor = np.log(factor)
    return revalue_options(
        by_option(portfolio, "forward"),
        options.strike,
        years,
        options.is_call,
        discounts(years, rate),
        factor,
        log_factor,
        shocked_vols(portfolio, scenarios, parameters),
    )


def by_option(portfolio: Portfolio, feed: str) -> FloatArray:
    """One feed of each option's expiry, shape (p,)."""
    return np.array([getattr(e, feed) for e in portfolio.expiries], dtype=np.float64)[portfolio.options.expiry]


def forward_factors(portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> FloatArray:
    """Shocked forward over forward, shape (s, p).

    Examples
    --------
    >>> from serving.margin.rules.derive_portfolio import Expiry, Options, forward_parts
    >>> half_fixed = Expiry(900.0, *forward_parts(100.0, 900.0), rate=0.0, confidence=1.0)
    >>> call = Options(np.zeros(1, int), np.array([90.0]), np.ones(1), np.array([0.6]), np.ones(1, bool))
    >>> held = Portfolio(0.0, spot=100.0, stable_price=1.0, expiries=(half_fixed,), options=call)
    >>> forward_factors(held, (Scenario(1.2, "up"), Scenario(1.2, "linear"))).tolist()
    [[1.1], [1.0]]
    """
    spot = np.array([1.0 if s.is_skew else s.spot for s in scenarios])
    forward = by_option(portfolio, "forward")
    moving = by_option(portfolio, "variable") / forward
    factors: FloatArray = 1 + (spot[:, None] - 1) * moving
    return factors


def shocked_vols(portfolio: Portfolio, scenarios: tuple[Scenario, ...], parameters: Parameters) -> FloatArray:
    """Volatility of each option under each scenario, shape (s, p); a rise ends no lower than its floor."""
    factors = vol_factors(portfolio, parameters)
    lowest = np.array([parameters.vol.lowest_after_rise if s.vol == "up" else 0.0 for s in scenarios])
    moved = np.stack([factors[s.vol] for s in scenarios]) * portfolio.options.vol
    vols: FloatArray = np.maximum(moved, lowest[:, None])
    return vols


def vol_factors(portfolio: Portfolio, parameters: Parameters) -> dict[str, FloatArray]:
    """Factor on the volatility of each option by direction of the shock, shape (p,) each."""
    years, skew = by_option(portfolio, "years"), parameters.skew
    up, down = volatility_factors(by_option(portfolio, "seconds"), parameters.vol)
    k = np.log(portfolio.options.strike / by_option(portfolio, "forward"))
    width = skew_width(years, skew)
    return {
        "none": np.ones(len(k)),
        "up": up,
        "down": down,
        "linear": skew_factors(k, skew.linear_base + skew.linear_slope * np.sqrt(years), width),
        "abs": skew_factors(np.abs(k), skew.abs_base + skew.abs_slope * np.sqrt(years), width),
    }
