"""A forecast that lacks a horizon or a part of its history: bought options too pay no less for it."""

from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final, Literal

import numpy as np
import pytest
from msgspec.structs import replace

from features.errors import SettingError
from serving.margin.objects import (
    Account,
    ForecastSet,
    Forward,
    Instrument,
    MarginResult,
    MarketSnapshot,
    Quote,
    Tail,
)
from serving.margin.policy import MarginPolicy, StaticPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.pricing.black import black_value
from serving.margin.quote import quote
from serving.margin.scan_charges import HOLE
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets
from tests.serving.margin.test_expired_forecasts import drawn

HOURS: Final = (1, 8, 24)


def without(field: str, *hours: int) -> Callable[[Tail], Tail]:
    """A tail without a part of its history, at some horizons."""
    return lambda tail: replace(tail, **{field: None}) if tail.horizon_s in [3600 * h for h in hours] else tail


@cache
def whole() -> list[tuple[Account, MarginResult]]:
    """Accounts and what they need while the forecast is whole."""
    return [(account, quote(account, changed.prepared())) for account in map(drawn, range(250))]


def lowered(prepared: Prepared) -> list[str]:
    found = []
    for account, before in whole():
        after = quote(account, prepared)
        if after.initial < before.initial or after.maintenance < before.maintenance:
            found.append(str(account.positions))
    return found


@pytest.mark.parametrize("hours", [(1,), (8,), (24,), HOURS])
@pytest.mark.parametrize("field", ["stress", "floor", "long_run", "vol_move", "depth_frac"])
def test_a_part_of_the_history_may_lack_without_lowering(field: str, hours: tuple[int, ...]) -> None:
    forecast = changed.with_tails(without(field, *hours))
    assert lowered(prepare(changed.small_market(), MarginPolicy(), [forecast])) == []


@pytest.mark.parametrize("hours", [(1,), (8,), (24,), (1, 24)])
def test_a_horizon_may_lack_without_lowering(hours: tuple[int, ...]) -> None:
    forecast = markets.forecasts()
    tails = tuple(tail for tail in forecast.tails if tail.horizon_s not in [3600 * h for h in hours])
    assert lowered(prepare(changed.small_market(), MarginPolicy(), [replace(forecast, tails=tails)])) == []


@cache
def spreads() -> list[tuple[Account, MarginResult]]:
    """Two or three options of many strikes, bought and sold: losses that lie between the nodes of a grid."""
    options = [i.symbol for i in markets.market().instruments if i.is_option and i.underlying == "BTC"]
    found = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        legs = rng.choice(options, int(rng.integers(2, 4)), replace=False)
        held = ((str(leg), round(float(rng.choice([1, 1, -1]) * 10 ** rng.uniform(-1, 1)), 2)) for leg in legs)
        account = changed.holding(*held)
        found.append((account, quote(account, changed.whole_prepared())))
    return found


def of_tails(keep: Callable[[Tail], bool]) -> ForecastSet:
    forecast = markets.forecasts()
    return replace(forecast, tails=tuple(tail for tail in forecast.tails if keep(tail)))


@pytest.mark.parametrize(
    "given",
    [
        [changed.with_tails(without("stress", *HOURS))], [changed.with_tails(without("floor", *HOURS))],
        [of_tails(lambda tail: tail.horizon_s != 28_800)], [of_tails(lambda tail: tail.horizon_s != 3_600)],
        [of_tails(lambda tail: tail.side != "up")], [of_tails(lambda tail: tail.underlying != "BTC")], [],
    ],
    ids=["no stress", "no floor", "no 8 hours", "no hour", "no rises", "no bitcoin", "none"],
)  # fmt: skip
def test_spreads_of_options_pay_no_less_for_what_is_missing(given: list[ForecastSet]) -> None:
    prepared, fallen = prepare(markets.market(), MarginPolicy(), given), []
    for account, before in spreads():
        after = quote(account, prepared)
        if after.initial < before.initial or after.maintenance < before.maintenance:
            fallen.append((str(account.positions), before.initial, after.initial))
    assert fallen == []


def with_straddle(strike: float) -> MarketSnapshot:
    """The small market with a call and a put of bitcoin that expire in a minute."""
    market, expiry_ns, spot = changed.small_market(), markets.AS_OF_NS + 60 * 10**9, markets.SPOT["BTC"]
    terms: dict[str, Any] = {
        "underlying": "BTC",
        "settlement": "USDC",
        "expiry_ns": expiry_ns,
        "strike": Decimal(str(strike)),
    }
    kinds: tuple[Literal["call", "put"], ...] = ("call", "put")
    options = tuple(Instrument(symbol=f"STRADDLE-{kind}", kind="option", option=kind, **terms) for kind in kinds)
    value = {kind: float(black_value(spot, strike, 0.5, 60 / 31_536_000, kind == "call", 1.0)) for kind in kinds}
    quotes = {
        f"STRADDLE-{kind}": Quote(mark=Decimal(f"{value[kind]:.4f}"), vol=0.5, age_s=0.5, confidence=1.0)
        for kind in kinds
    }
    forward = Forward(expiry_ns=expiry_ns, price=Decimal(str(spot)), rate=0.0)
    bitcoin = market.underlyings["BTC"]
    return replace(
        market,
        instruments=(*market.instruments, *options),
        quotes=market.quotes | quotes,
        underlyings=market.underlyings | {"BTC": replace(bitcoin, forwards=(forward, *bitcoin.forwards))},
    )


@pytest.mark.parametrize("node", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("scale", [0.33, 0.5, 1.0])
def test_a_straddle_about_to_expire_with_its_strike_on_a_node_pays_no_less(scale: float, node: float) -> None:
    """Its edge is narrower than any step of a wider range."""
    calm = changed.with_tails(lambda tail: changed.times(tail, scale))
    width = float(prepare(changed.small_market(), MarginPolicy(), [calm]).maintenance.ranges.down[0])
    market = with_straddle(round(markets.SPOT["BTC"] * (1 - node * width), 1))
    account = changed.holding(("STRADDLE-call", 10), ("STRADDLE-put", 10))
    before = quote(account, prepare(market, MarginPolicy(), [calm]))
    holed = [
        [replace(calm, tails=tuple(without("floor", *HOURS)(tail) for tail in calm.tails))],
        [replace(calm, tails=tuple(tail for tail in calm.tails if tail.horizon_s != 3_600))],
        [replace(calm, tails=tuple(tail for tail in calm.tails if tail.side != "down"))],
    ]
    for given in holed:
        changed.not_less(quote(account, prepare(market, MarginPolicy(), given)), before)


def test_the_charge_is_a_share_of_the_scan_of_the_underlying_that_has_the_hole() -> None:
    def hole(tail: Tail) -> Tail:
        return without("stress", 8)(tail) if tail.underlying == "ETH" else tail

    prepared = prepare(changed.small_market(), MarginPolicy(), [changed.with_tails(hole)])
    eth, btc = (quote(changed.holding((symbol, 1)), prepared) for symbol in ("ETH-PERP", "BTC-PERP"))
    assert float(changed.component(eth, HOLE)) == pytest.approx(0.05 * float(changed.component(eth, "scan")), abs=0.011)
    assert changed.component(btc, HOLE) == 0
    assert next(c.maintenance for c in eth.components if c.name == HOLE) == 0  # one hour is forecast whole
    assert any("stress" in note for note in eth.notes)


def test_a_policy_may_set_it_and_a_negative_share_is_refused() -> None:
    forecast = changed.with_tails(without("floor", *HOURS))
    policy = MarginPolicy(static=StaticPolicy(hole_frac=0.0))
    found = quote(changed.holding(("BTC-PERP", 1)), prepare(changed.small_market(), policy, [forecast]))
    assert changed.component(found, HOLE) == 0
    with pytest.raises(SettingError, match="hole_frac"):
        StaticPolicy(hole_frac=-0.01)
