"""Greeks of the mean value: against the mean of Black values over random moves and against difference quotients."""

import numpy as np
import pytest

from features.errors import ForecastError
from serving.margin.pricing.black import black_value
from serving.margin.scenarios.vol import term_scale
from serving.margin.sensitivity.account import SensitivityMarket
from serving.margin.sensitivity.exposures import at_vertices
from tests.serving.margin import markets
from tests.serving.margin.sensitivity.sensitivity_markets import POLICY, whole

OPTIONS = ("BTC-6SEP24-58000-C", "BTC-6SEP24-70000-C", "ETH-27DEC24-2350-P", "BTC-27SEP24-58000-P")


def _mean_value(symbol: str, move: float, vol_move: float) -> float:
    """Mean of Black's value over lognormal moves at the raised volatility, by quadrature (Hermite, 201 nodes)."""
    own = whole()
    row = own.market.row(symbol)
    terms, name = own.market.options, own.market.underlyings[own.market.underlying[row]]
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    h = own.calibration.deviation[name]
    forwards = terms.forward[row] * (1 + move) * np.exp(h * nodes - h**2 / 2)
    years = terms.years[row]
    vol = terms.vol[row] * (1 + vol_move) * (1 + own.calibration.rise[name] * term_scale(years, POLICY.scenarios))
    values = black_value(forwards, terms.strike[row], vol, years, bool(terms.is_call[row]), terms.discount[row])
    return float(np.dot(weights, values) / weights.sum() * own.market.usd_per_point[row])


@pytest.mark.parametrize("symbol", OPTIONS)
def test_greeks_are_derivatives_of_the_mean_value_over_the_moves(symbol: str) -> None:
    row, own = whole().market.row(symbol), whole().exposures
    step = 0.01
    up, mid, down = (_mean_value(symbol, m, 0.0) for m in (step, 0.0, -step))
    raised = 1 + whole().calibration.rise["BTC"] * float(
        term_scale(whole().market.options.years[row], POLICY.scenarios)
    )
    assert own.delta[row] == pytest.approx((up - down) / (2 * step), rel=0.01)
    assert own.bend[row] == pytest.approx(-0.5 * (up - 2 * mid + down) / step**2, rel=0.02)
    per_raised_vol = (_mean_value(symbol, 0.0, step) - _mean_value(symbol, 0.0, -step)) / (2 * step)
    assert own.vega[row] == pytest.approx(per_raised_vol / raised, rel=0.01)  # vega x today's vol


def test_call_less_put_is_the_forward() -> None:
    own, market = whole().exposures, whole().market
    call, put = market.row("BTC-27SEP24-58000-C"), market.row("BTC-27SEP24-58000-P")
    forward = market.options.forward[call] * market.options.discount[call] * market.usd_per_point[call]
    assert own.delta[call] - own.delta[put] == pytest.approx(forward)
    assert own.vega[call] == pytest.approx(own.vega[put])
    assert own.bend[call] == pytest.approx(own.bend[put])
    assert own.bend[call] < 0 < own.vega[call]


def test_linear_contracts_have_their_notional_and_nothing_else() -> None:
    own, market = whole().exposures, whole().market
    perpetual, inverse = market.row("BTC-PERP"), market.row("BTC-USD")
    assert own.delta[perpetual] == market.mark_usd[perpetual]
    assert own.delta[inverse] == 10.0  # USD a contract, whatever the price
    assert own.vega[perpetual] == own.bend[perpetual] == own.days[perpetual] == 0.0


def test_vertices_keep_amount_and_mean_expiry() -> None:
    for days in (1.0, 3.0, 24.75, 100.0, 500.0):
        parts = at_vertices(days)
        assert sum(share for _, share in parts) == pytest.approx(1.0)
        assert sum(share * float(label[:-1]) for label, share in parts) == pytest.approx(days)


def test_underlying_without_a_range_is_refused() -> None:
    own = whole().calibration
    short = {name: value for name, value in own.deviation.items() if name != "SOL"}
    lacking = type(own)(own.ranges, own.policy, short, own.rise, own.rules)
    with pytest.raises(ForecastError, match="no scan range of SOL"):
        _ = SensitivityMarket(whole().market, lacking).exposures
    assert markets.coins() == ("BTC", "ETH", "SOL")
