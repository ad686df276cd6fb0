"""The challenger: silent where two methods agree, named where an input or a method is wrong, and never a discount."""

import math
from decimal import Decimal

import msgspec
import numpy as np
import pytest

from features.errors import ForecastError, SettingError
from serving.margin.moved_market import moved_market
from serving.margin.objects import Account, Position
from serving.margin.scenarios.grid import grid
from serving.margin.sensitivity.account import SensitivityMarket, sensitivity_margin
from serving.margin.sensitivity.band import Band
from serving.margin.sensitivity.challenger import Alarm, challenge, part_figures
from serving.margin.sensitivity.revalued_parts import challenge_account, revalued_parts
from serving.margin.units import unit_pnl
from tests.serving.margin import markets
from tests.serving.margin.sensitivity.sensitivity_markets import POLICY, of, whole


def _revalued(account: Account, market: SensitivityMarket) -> float:
    """Full revaluation in plain loops: worst of the grid by underlying, added."""
    pnl = unit_pnl(market.market, grid(market.calibration.ranges, POLICY.scenarios), POLICY.scenarios)
    losses: dict[int, np.ndarray] = {}
    for position in account.positions:
        row = market.market.row(position.instrument)
        underlying = int(market.market.underlying[row])
        losses[underlying] = losses.get(underlying, np.zeros(len(pnl))) - float(position.quantity) * pnl[:, row]
    return sum(max(0.0, float(own.max())) for own in losses.values())


def _challenged(account: Account, ours: SensitivityMarket, theirs: SensitivityMarket) -> Alarm | None:
    return challenge(
        account.account_id,
        sensitivity_margin(account, ours).amount,
        _revalued(account, theirs),
        part_figures(account, ours),
        revalued_parts(account, theirs),
    )


@pytest.mark.parametrize(
    "held",
    [
        {"BTC_PERP": "1"},
        {"BTC_PERP": "-1"},
        {"BTC_27SEP24": "2"},
        {"BTC_6SEP24_58000_C": "-1"},
        {"BTC_6SEP24_70000_C": "-1"},
        {"BTC_6SEP24_50000_P": "-1"},
        {"BTC_27DEC24_58000_P": "-3"},
        {"ETH_27DEC24_2500_C": "1"},
        {"ETH_27DEC24_2500_C": "-5", "ETH_27DEC24_2500_P": "-5"},
        {"BTC_27DEC24_58000_C": "-1", "BTC_PERP": "0.55"},
    ],
)
def test_two_methods_agree_on_plain_positions(held: dict[str, str]) -> None:
    """Delta, vega and curvature against Black's value in 27 scenarios: within 0.67 and 1.5 of each other."""
    account = markets.account(**held)
    ratio = sensitivity_margin(account, whole()).amount / _revalued(account, whole())
    assert 0.67 < ratio < 1.5
    assert _challenged(account, whole(), whole()) is None


def test_a_wrong_volatility_in_one_of_them_is_named() -> None:
    snapshot = markets.market()
    quotes = {
        name: msgspec.structs.replace(quote, vol=quote.vol * 6) if quote.vol and name.startswith("ETH") else quote
        for name, quote in snapshot.quotes.items()
    }
    wrong = of(msgspec.structs.replace(snapshot, quotes=quotes))
    account = markets.account(ETH_27SEP24_2500_C="-50", ETH_27SEP24_2500_P="-50", BTC_PERP="0.1")
    assert _challenged(account, whole(), whole()) is None
    alarm = _challenged(account, wrong, whole())
    assert alarm is not None
    assert ("ETH", "volatility") in {(part.underlying, part.measure) for part in alarm.parts}
    assert all(part.underlying == "ETH" for part in alarm.parts)
    assert "ETH volatility" in alarm.message
    assert "The requirement stands" in alarm.message


def test_a_wrong_price_in_one_of_them_is_named() -> None:
    """A feed that lost a digit of every price of a coin: marks and spot agree, and no check of one market sees it."""
    wrong = of(moved_market(markets.market(), "SOL", 0.1))
    alarm = _challenged(markets.account(SOL_PERP="500", BTC_PERP="0.1"), wrong, whole())
    assert alarm is not None
    assert [(part.underlying, part.measure) for part in alarm.parts] == [("SOL", "price")]
    assert alarm.sensitivity_usd < alarm.revaluation_usd


def test_parts_that_diverge_both_ways_are_seen_though_the_sum_agrees() -> None:
    ours, theirs = {("BTC", "price"): 90.0, ("ETH", "price"): 10.0}, {("BTC", "price"): 10.0, ("ETH", "price"): 90.0}
    alarm = challenge("a", 100.0, 100.0, ours, theirs)  # type: ignore[arg-type]
    assert alarm is not None
    assert [part.underlying for part in alarm.parts] == ["BTC", "ETH"]


def test_small_parts_stay_silent_and_large_come_first() -> None:
    ours = {("A", "price"): 100.0, ("B", "price"): 1.0, ("C", "price"): 400.0}
    theirs = {("A", "price"): 20.0, ("B", "price"): 4.0, ("C", "price"): 100.0}
    alarm = challenge("a", 500.0, 500.0, ours, theirs)  # type: ignore[arg-type]
    assert alarm is not None
    assert [part.underlying for part in alarm.parts] == ["C"]
    broken = challenge("a", 500.0, 120.0, ours, theirs)  # type: ignore[arg-type]
    assert broken is not None
    assert [part.underlying for part in broken.parts] == ["C", "A", "B"]


def test_a_divergence_of_no_part_says_so() -> None:
    alarm = challenge("a", 10.0, 100.0, {}, {})
    assert alarm is not None
    assert alarm.parts == ()
    assert "no single part" in alarm.message


@pytest.mark.parametrize("ratio", [0.5, 0.7, 1.0, 2.0])
def test_silent_within_the_band_and_at_its_edges(ratio: float) -> None:
    assert challenge("a", 100.0 * ratio, 100.0, {}, {}) is None


@pytest.mark.parametrize("ratio", [0.0, 0.49, 2.01, 50.0])
def test_speaks_outside_the_band(ratio: float) -> None:
    assert challenge("a", 100.0 * ratio, 100.0, {}, {}) is not None


@pytest.mark.parametrize("figure", [math.nan, math.inf, -1.0])
def test_what_cannot_be_compared_is_refused(figure: float) -> None:
    with pytest.raises(ForecastError, match="negative or not finite"):
        challenge("a", figure, 1.0, {}, {})
    with pytest.raises(ForecastError, match="negative or not finite"):
        challenge("a", 1.0, 1.0, {}, {("BTC", "price"): figure})


def test_an_account_is_challenged_in_one_call() -> None:
    account = markets.account(BTC_PERP="1", ETH_27DEC24_2500_C="-5")
    revalued = _revalued(account, whole())
    assert challenge_account(account, whole(), revalued) is None
    assert challenge_account(account, whole(), revalued, Band(low=0.99, high=1.0001)) is not None
    alarm = challenge_account(account, whole(), revalued * 5)
    assert alarm is not None
    assert alarm.sensitivity_usd == sensitivity_margin(account, whole()).amount


def test_it_has_no_requirement_to_lower() -> None:
    """An alarm repeats both figures as they came; it brings no third."""
    alarm = challenge("a", 300.0, 100.0, {}, {})
    assert alarm is not None
    figures = {name: getattr(alarm, name) for name in alarm.__struct_fields__ if name.endswith("usd")}
    assert figures == {"sensitivity_usd": 300.0, "revaluation_usd": 100.0}


def test_isolated_parts_are_added_not_netted() -> None:
    cross = Position(instrument="BTC-PERP", quantity=Decimal(1))
    isolated = Position(instrument="BTC-PERP", quantity=Decimal(-1), mode="isolated", isolated_collateral=Decimal(9000))
    parts = revalued_parts(Account(account_id="t", positions=(cross, isolated)), whole())
    alone = [revalued_parts(Account(account_id="t", positions=(one,)), whole()) for one in (cross, isolated)]
    assert parts["BTC", "price"] == pytest.approx(sum(one["BTC", "price"] for one in alone))
    assert parts["BTC", "volatility"] == 0.0


@pytest.mark.parametrize(
    "options", [{"low": 1.0}, {"high": 1.0}, {"low": math.nan}, {"part_high": 0.9}, {"least_usd": -1.0}]
)
def test_band_that_would_always_or_never_speak_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(SettingError, match="band"):
        Band(**options)


def test_share_that_is_none_is_refused() -> None:
    with pytest.raises(SettingError, match="material_frac"):
        Band(material_frac=1.5)
