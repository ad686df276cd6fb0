"""Published figures of the venues' rules: fixed rates, Deribit, dYdX, Drift, Vega."""

from decimal import Decimal
from typing import Any

import pytest

from serving.margin.rules import deribit_linear, drift, dydx, fixed_rate, lognormal, vega
from tests.vectors.reading import cases


def decimal(value: Any) -> Decimal:
    """A published number as it prints."""
    return Decimal(str(value))


def listed(document: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(f"{c.get('id', c.get('model', c.get('instrument')))} {i}", c) for i, c in enumerate(document["vectors"])]


@pytest.mark.parametrize("case", cases("nautilus_fixed_rate", listed))
def test_fixed_rates(case: dict[str, Any]) -> None:
    notional, rate, leverage = (decimal(case[name]) for name in ("notional", "rate", "leverage"))
    models = {
        "standard": lambda: fixed_rate.standard_margin(notional, rate),
        "leveraged": lambda: fixed_rate.leveraged_margin(notional, rate, leverage),
    }
    assert models[case["model"]]() == decimal(case["expected"])


@pytest.mark.parametrize("case", cases("deribit_linear_perp", listed))
def test_deribit_linear(case: dict[str, Any]) -> None:
    size, index, slope = (decimal(case[name]) for name in ("size", "index", "slope_per_coin"))
    for base, expected in (("im_base", "expected_im_usdc"), ("mm_base", "expected_mm_usdc")):
        if case[expected] is not None:
            assert deribit_linear.margin(size, index, decimal(case[base]), slope) == decimal(case[expected])


def dydx_cases(document: dict[str, Any]) -> list[tuple[str, Any]]:
    groups = ("adjusted_imf", "maintenance_ppm", "initial_margin_quantums", "position_margin", "liquidatable")
    return [(f"{group} {i}", (group, case)) for group in groups for i, case in enumerate(document[group])]


def tier(case: dict[str, Any]) -> dydx.LiquidityTier:
    return dydx.LiquidityTier(
        initial_margin_ppm=case.get("imf_ppm", 0),
        maintenance_fraction_ppm=case.get("mmf_ppm", 0),
        open_interest_lower_cap=case.get("oi_lower", 0),
        open_interest_upper_cap=case.get("oi_upper", 0),
    )


def position_margin(case: dict[str, Any]) -> tuple[int, int]:
    terms = case["price"], case["exponent"], case["atomic_resolution"]
    notional = abs(dydx.quote_quantums(case["base_quantums"], *terms))
    open_interest = dydx.quote_quantums(case.get("oi_base_quantums", 0), *terms)
    return (
        dydx.initial_margin(tier(case), notional, open_interest),
        dydx.maintenance_margin(tier(case), notional),
    )


@pytest.mark.parametrize("case", cases("dydx_v4", dydx_cases))
def test_dydx(case: tuple[str, dict[str, Any]]) -> None:
    group, one = case
    if group == "adjusted_imf":
        assert dydx.adjusted_initial_ppm(tier(one), one["oi"]) == one["expected_ppm"]
    elif group == "maintenance_ppm":
        assert dydx.maintenance_ppm(tier(one)) == one["expected_ppm"]
    elif group == "initial_margin_quantums":
        assert dydx.initial_margin(tier(one), one["quote_quantums"], one["oi"]) == one["expected"]
    elif group == "position_margin":
        assert position_margin(one) == (one["exp_imr"], one["exp_mmr"])
    else:
        assert dydx.liquidatable(one["NC"], one["MMR"]) is one["expected"]


def imf_ppm(case: dict[str, Any]) -> int:
    """Factor of the square root: published in parts per million or as a fraction."""
    factor = decimal(case.get("imf_factor", case.get("imf", 0)))
    return int(factor * drift.IMF) if factor < 1 else int(factor)


@pytest.mark.parametrize("case", cases("drift_collateral_scaling", listed))
def test_drift(case: dict[str, Any]) -> None:
    if "scale" in case["id"]:
        start, price, deposits = (decimal(case[name]) for name in ("start_usd", "price", "deposits"))
        assert drift.scaled_initial_weight(case["weight"], start, price, deposits) == case["expected"]
    else:
        weigh = drift.liability_weight if "liability" in case["id"] else drift.asset_weight
        assert weigh(int(decimal(case["size"]) * drift.SIZE), imf_ppm(case), case["weight"]) == case["expected"]


def vega_levels(inputs: dict[str, Any]) -> vega.Levels:
    both = inputs.get("rf_long", 0), inputs.get("rf_short", 0)
    exit_slippage = inputs.get("exit_slippage")
    maintenance = vega.maintenance_margin(
        decimal(inputs["position"]),
        decimal(inputs["mark"]),
        (decimal(both[0]), decimal(both[1])),
        decimal(inputs.get("linear_slippage", 0)),
        buys=decimal(inputs.get("buys", 0)),
        sells=decimal(inputs.get("sells", 0)),
        exit_slippage=None if exit_slippage is None else decimal(exit_slippage),
    )
    scaling = {name: decimal(level) for name, level in inputs["scaling"].items()}
    return vega.margin_levels(maintenance, vega.Scaling(**scaling))


def order_margin(inputs: dict[str, Any]) -> int:
    auction = inputs.get("auction_price")
    return vega.isolated_order_margin(
        inputs["side"],
        decimal(inputs["position"]),
        [(decimal(size), decimal(price)) for size, price in inputs["orders_size_price"]],
        decimal(inputs["margin_factor"]),
        decimal(inputs["position_factor"]),
        None if auction is None else decimal(auction),
    )


@pytest.mark.parametrize("case", cases("vega", listed))
def test_vega(case: dict[str, Any]) -> None:
    fn, inputs, expected = case["fn"].split()[0], case["inputs"], case["expected"]
    if fn == "margin_levels":
        levels = vega_levels(inputs)
        assert {name: getattr(levels, name) for name in expected} == expected
    elif fn == "isolated_order_margin":
        assert order_margin(inputs) == expected
    elif fn == "risk_factors_forward":
        long, short = lognormal.risk_factors(inputs["lambda_"], inputs["tau"], inputs["mu"], inputs["sigma"])
        assert long == pytest.approx(expected["long"], abs=case.get("tol", case.get("tol_long")), rel=0)
        assert short == pytest.approx(expected["short"], abs=case.get("tol", case.get("tol_short")), rel=0)
    else:
        tail = {"lognormal_var_es": lognormal.lognormal_tail, "neg_lognormal_var_es": lognormal.short_lognormal_tail}
        found = tail[fn](inputs["mu"], inputs["sigma"], inputs["lambda_"])
        assert found == pytest.approx((expected["VaR"], expected["ES"]), abs=case["tol"], rel=0)
