"""The packaged presets are what the venues publish, as far as it was stored."""

from decimal import Decimal
from typing import Any

import pytest

from serving.margin.policy import TAIL_MOVES
from serving.margin.rules import RULES
from tests.vectors.reading import cases

STEM = "venue_parameters"


def picked(name: str) -> list[Any]:
    return cases(STEM, lambda d: [(name, d[name])] if name in d else [])


@pytest.mark.parametrize("case", picked("paradex_pm"))
def test_paradex(case: dict[str, Any]) -> None:
    rule = RULES["paradex"].published()
    assert [{"spot": s.spot, "vol": s.vol, "weight": s.weight} for s in rule.scenarios] == case["scenarios"]
    assert (rule.short_power, rule.long_power) == (case["vega_power"]["dte<30"], case["vega_power"]["dte>=30"])
    assert f"{rule.net_rate:.0%}*|net delta| + {rule.hedged_rate:.0%}*hedged delta" in case["min_delta"]
    assert f"{rule.maintenance_share:.0%} of net portfolio IM" in case["MMR"]


@pytest.mark.parametrize("case", picked("deribit_pm"))
def test_deribit(case: dict[str, Any]) -> None:
    rule = RULES["deribit_portfolio"].published()
    assert list(rule.extended) == list(TAIL_MOVES) == case["extended_table"]
    assert f"+-{rule.price_range:.0%} in 9" in case["price_range"]
    older = case["legacy(www.deribit.com/pages/docs/portfoliomargin)"]
    assert older["iv_shock"] == f"(30/dte)^{rule.power:.2f}*{rule.vol_range:.0%}"
    assert older["short_option_contingency"].startswith(f"{rule.option_rate:.2f} BTC")
    assert older["futures_contingency"].startswith(f"{rule.future_rate:.0%} of")


@pytest.mark.parametrize("case", picked("cme_span"))
def test_span(case: dict[str, Any]) -> None:
    rule = RULES["span"].published()
    assert f"Extreme Move Value {rule.extreme:.0f}, Coverage {rule.cover:.2f}" in case["extreme"]


@pytest.mark.parametrize("case", picked("dydx_tiers"))
def test_dydx(case: dict[str, Any]) -> None:
    rule = RULES["dydx"].published()
    for tier, terms in (("0", rule.markets["BTC"]), ("0", rule.markets["ETH"]), ("2", rule.default)):
        assert terms.initial_margin_ppm == Decimal(str(case["IMF"][tier])) * 10**6
        assert terms.maintenance_fraction_ppm == Decimal(str(case["MMF_of_IMF"][tier])) * 10**6
