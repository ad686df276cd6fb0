"""A forecast that expires never lowers a requirement, whatever is held and whatever stands in for it."""

from decimal import Decimal
from functools import cache
from typing import Final

import numpy as np
import pytest
from msgspec.structs import replace

from serving.margin.charge import Charge
from serving.margin.expired import NAME, held_up, unexpired
from serving.margin.objects import Account, Debt, ForecastSet, OpenOrder, Residuals
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import quote
from serving.margin.running import running
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

LATE: Final = {
    "expired": {"expires_ns": markets.AS_OF_NS},
    "old": {"as_of_ns": markets.AS_OF_NS - 7 * markets.HOUR_NS},
}
LADDERS: Final = ("alone", "a calmer one stands in", "one that nets more stands in")


@cache
def model() -> ForecastSet:
    """The forecast that expires: over a day it rises faster than the root of time."""
    return changed.with_tails(lambda t: changed.times(t, 1.8) if t.horizon_s == 86_400 else t)


@cache
def stand_ins(ladder: str) -> tuple[ForecastSet, ...]:
    """What is given beside it, itself fresh."""
    if ladder == "alone":
        return ()
    calmer = changed.with_tails(lambda tail: changed.times(tail, 0.7))
    if ladder == "a calmer one stands in":
        return (calmer,)
    rows = model().residuals
    assert rows is not None
    apart = np.array(rows.rows)
    apart[:, 1], apart[:, 2] = np.roll(apart[:, 1], 100), np.roll(apart[:, 2], 200)
    return (replace(calmer, residuals=Residuals(names=rows.names, rows=tuple(map(tuple, apart.tolist())))),)


@cache
def ready(ladder: str, late: str = "") -> Prepared:
    """The small market while the forecast holds, and after it."""
    first = replace(model(), **LATE[late]) if late else model()
    return prepare(changed.small_market(), MarginPolicy(), [first, *stand_ins(ladder)])


def drawn(seed: int) -> Account:
    """Up to five positions, small or so large that closing them takes days, options often bought; orders, a debt."""
    rng = np.random.default_rng(seed)
    market = changed.small_market()
    size = {"BTC-USD": 3000.0, "ETH-USD": 600.0, "SOL-PERP": 150.0, "SOL-27SEP24": 150.0}
    scale = 10.0 ** rng.integers(0, 5)
    held = []
    for terms in rng.choice(np.array(market.instruments, dtype=object), int(rng.integers(1, 6)), replace=False):
        quantity = scale * float(rng.normal()) * size.get(terms.symbol, 3.0)
        bought = terms.is_option and rng.random() < 0.7
        held.append((terms.symbol, round(abs(quantity) if bought else quantity, 3)))
    orders: tuple[OpenOrder, ...] = ()
    if rng.random() < 0.3:
        symbol = str(rng.choice([i.symbol for i in market.instruments]))
        price = str(market.quotes[symbol].mark)
        orders = (changed.order(symbol, "buy" if rng.random() < 0.5 else "sell", str(round(scale, 3)), price),)
    debts = (Debt(asset="ETH", quantity=Decimal(3)),) if rng.random() < 0.3 else ()
    return changed.holding(*held, orders=orders, debts=debts)


@pytest.mark.parametrize("ladder", LADDERS)
@pytest.mark.parametrize("late", LATE)
@pytest.mark.parametrize("block", range(4))
def test_no_requirement_falls_by_a_cent_when_a_forecast_expires(ladder: str, late: str, block: int) -> None:
    lowered = []
    for seed in range(100 * block, 100 * block + 100):
        before, after = (quote(drawn(seed), ready(ladder, how)) for how in ("", late))
        if after.initial < before.initial or after.maintenance < before.maintenance:
            lowered.append((seed, before.initial, after.initial, before.maintenance, after.maintenance))
        assert after.levels.equity <= before.levels.equity
    assert lowered == []


@pytest.mark.parametrize("factor", [1.3, 1.6])
def test_the_second_of_two_to_expire_lowers_nothing_either(factor: float) -> None:
    """What was asked for while the wilder one had expired and the other had not is a floor too."""
    wild = changed.with_tails(lambda tail: changed.times(tail, factor), **LATE["expired"])
    wild = replace(wild, expires_ns=markets.AS_OF_NS - 1)
    states = (model(), wild), (replace(model(), **LATE["expired"]), wild)
    one, both = (prepare(changed.small_market(), MarginPolicy(), given) for given in states)
    lowered = []
    for seed in range(300):
        before, after = (quote(drawn(seed), prepared) for prepared in (one, both))
        if after.initial < before.initial or after.maintenance < before.maintenance:
            lowered.append((seed, before.initial, after.initial))
    assert lowered == []


@pytest.mark.parametrize("ladder", LADDERS)
def test_the_running_account_needs_what_the_statement_says_also_after_a_trade(ladder: str) -> None:
    prepared, held_up_once = ready(ladder, "expired"), False
    for seed in range(60):
        account = drawn(seed)
        found = running(account, prepared)
        for trade in (0.0, -2.0):
            traded = found.after(changed.CALL, trade)
            positions = (*account.positions, *changed.holding((changed.CALL, trade)).positions)
            if any(p.instrument == changed.CALL for p in account.positions):
                positions = tuple(
                    replace(p, quantity=p.quantity + Decimal(str(trade))) if p.instrument == changed.CALL else p
                    for p in account.positions
                )
            said = quote(replace(account, positions=positions), prepared)
            assert traded.figures().initial == pytest.approx(float(said.initial), abs=0.2, rel=1e-9)
            assert traded.figures().maintenance == pytest.approx(float(said.maintenance), abs=0.2, rel=1e-9)
            assert sum((p.initial for p in said.positions), Decimal(0)) == said.initial
            held_up_once = held_up_once or any(c.name == NAME for c in said.components)
    assert held_up_once or ladder != LADDERS[2]  # only there is something lost that no range holds up


def test_where_nothing_has_expired_nothing_is_held_up() -> None:
    fresh = (markets.forecasts(), *stand_ins(LADDERS[1]))
    assert unexpired(fresh, markets.AS_OF_NS, MarginPolicy()) is None
    assert unexpired((), markets.AS_OF_NS, MarginPolicy()) is None
    assert ready("alone").before is None


def test_only_what_expired_last_is_taken_as_made_just_now() -> None:
    late, later = replace(model(), **LATE["old"]), replace(model(), **LATE["expired"])
    found = unexpired((late, later, markets.forecasts()), markets.AS_OF_NS, MarginPolicy())
    assert found is not None
    assert (found[0], found[2]) == (late, markets.forecasts())
    assert (found[1].as_of_ns, found[1].tails) == (markets.AS_OF_NS, later.tails)
    again = unexpired(found, markets.AS_OF_NS, MarginPolicy())
    assert again is not None
    assert unexpired(again, markets.AS_OF_NS, MarginPolicy()) is None


def test_what_lacks_goes_to_the_rows_that_paid_more_before_and_covers_every_rounded_cent() -> None:
    before = [
        Charge("a", np.array([10.004, 0.0]), np.array([1.0, 1.0])),
        Charge("b", np.array([0.001, 2.0]), np.zeros(2)),
    ]
    now = [Charge("a", np.array([4.0, 1.0]), np.array([3.0, 0.0]))]
    found = held_up(now, before)
    assert found.initial.sum() == pytest.approx(10.01 + 2.01 - 5.0, rel=1e-12)
    assert found.initial[0] / found.initial[1] == pytest.approx(6.005 / 1.0, rel=1e-9)
    assert found.maintenance.tolist() == [0.0, 0.0]
