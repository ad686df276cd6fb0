"""Time to close against a second scan: what a wider range loses when it is asked for outright."""

from dataclasses import replace
from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from msgspec.structs import replace as of

from features.errors import ForecastError
from serving.margin.closing_costs import sizes
from serving.margin.closing_time import GROWTHS, added_by_time, losses_by_growth
from serving.margin.holdings import book_of
from serving.margin.objects import Account
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import quote
from serving.margin.running import running
from serving.margin.scan_charges import scanned
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

SHORT_STRANGLE = (("BTC-27SEP24-64000-C", -40), ("BTC-27SEP24-58000-P", -40))
MIXED = (("BTC-PERP", 30), (changed.CALL, -55), (changed.PUT, 20), ("BTC-6SEP24-58000-P", -35))


@cache
def ready(volume: str, families: tuple[str, ...] = MarginPolicy().scenarios.families) -> Prepared:
    """No forecast, so that ranges are static and grow by the root of time; bitcoin trades a volume a day."""
    policy = MarginPolicy()
    policy = of(policy, scenarios=of(policy.scenarios, families=families))
    return prepare(changed.with_underlying("BTC", volume_24h_usd=Decimal(volume)), policy)


def growth(account: Account, prepared: Prepared) -> float:
    """Growth of the range, by hand: root of the period with the time that a tenth of the volume takes."""
    book = book_of(account, account.positions, prepared.market, prepared.policy)
    gross = float(sizes(prepared.closing, book.rows, len(book.positions.quantity), 3).gross[0])
    spot, volume = markets.SPOT["BTC"], float(changed_volume(prepared))
    return float(np.sqrt(1 + gross * spot / (0.1 * volume) * 86_400 / prepared.policy.scan.mpor_s))


def changed_volume(prepared: Prepared) -> Decimal:
    return prepared.market.snapshot.underlyings["BTC"].volume_24h_usd or Decimal(0)


def volume_for(account: Account, wanted: float) -> str:
    """Volume a day at which the range of bitcoin grows so much."""
    some = ready("1e9")
    return f"{1e9 * (growth(account, some) ** 2 - 1) / (wanted**2 - 1):.6f}"


def scan_and_time(account: Account, prepared: Prepared) -> float:
    found = quote(account, prepared)
    return float(changed.component(found, "scan") + changed.component(found, "time to close"))


@pytest.mark.parametrize("grown", GROWTHS)
@pytest.mark.parametrize("held", [SHORT_STRANGLE, MIXED])
def test_at_a_growth_it_is_the_scan_of_the_wider_range(held: tuple[tuple[str, int], ...], grown: float) -> None:
    account = changed.holding(*held)
    small = ready(volume_for(account, grown))
    assert growth(account, small) == pytest.approx(grown, rel=1e-9)
    book = book_of(account, account.positions, small.market, small.policy)
    asked = prepare(small.market.snapshot, replace_range(small.policy, grown))
    direct = float(scanned(asked.initial, book, small.policy.paths).loss.losses[0])
    assert scan_and_time(account, small) == pytest.approx(direct, rel=1e-6)


def replace_range(policy: MarginPolicy, factor: float) -> MarginPolicy:
    return of(policy, static=of(policy.static, ranges={"BTC": policy.static.ranges["BTC"] * factor}))


def test_a_short_strangle_pays_more_than_in_proportion_and_a_perpetual_just_that() -> None:
    for held, convex in ((SHORT_STRANGLE, True), ((("BTC-PERP", 40),), False)):
        account = changed.holding(*held)
        found = quote(account, ready(volume_for(account, 1.8), families=("grid", "calm")))
        added = float(changed.component(found, "time to close") / changed.component(found, "scan"))
        assert added > 1.2 * 0.8 if convex else added == pytest.approx(0.8, rel=1e-6)


def test_dampened_tails_grow_with_the_range_as_a_linear_position_does() -> None:
    account = changed.holding(*SHORT_STRANGLE)
    found = quote(account, ready(volume_for(account, 1.8)))
    assert "dampened" in found.worst_scenario
    added = float(changed.component(found, "time to close") / changed.component(found, "scan"))
    assert added == pytest.approx(0.8, rel=1e-6)


def test_between_the_growths_it_is_never_below_the_scan_of_that_range() -> None:
    account = changed.holding(*SHORT_STRANGLE)
    before = 0.0
    for grown in np.linspace(1.02, 4.0, 25).tolist():
        small = ready(volume_for(account, grown), families=("grid", "calm"))
        book = book_of(account, account.positions, small.market, small.policy)
        asked = prepare(small.market.snapshot, replace_range(small.policy, grown))
        wide = float(scanned(asked.initial, book, small.policy.paths).loss.losses[0])
        charged = scan_and_time(account, small)
        assert 0.999 * wide <= charged <= 1.15 * wide
        assert charged > before
        before = charged


def test_a_trade_moves_the_figures_as_the_statement() -> None:
    account = changed.holding(*SHORT_STRANGLE)
    small = ready(volume_for(account, 1.8))
    after = running(account, small).after(changed.CALL, -25.0).figures()
    said = quote(changed.holding(*SHORT_STRANGLE, (changed.CALL, -25)), small)
    for name in ("time to close", "concentration", "scan"):
        assert after.components[name][0] == pytest.approx(float(changed.component(said, name)), abs=0.02)


def test_laws_of_the_chord() -> None:
    losses = np.array([1.0, 1.0, 0.0])
    wider = np.array([[1.0, 3, 0], [1.0, 6, 2], [1.0, 20, 2], [1.0, 50, 2], [1.0, 170, 2]])
    at = [added_by_time(losses, wider, np.full(3, g)) for g in (1.0, *GROWTHS, 56.0)]
    np.testing.assert_allclose(at[0], 0.0)
    np.testing.assert_allclose([row[0] for row in at[1:]], 0.0)  # what a wider range takes no more from
    np.testing.assert_allclose([row[1] for row in at[1:]], [2, 5, 19, 49, 169, 289])  # beyond the last on its chord
    np.testing.assert_allclose([row[2] for row in at[1:]], [0, 2, 2, 2, 2, 2])  # what loses nothing within the range
    middle = added_by_time(losses, wider, np.full(3, 3.0))
    np.testing.assert_allclose(middle, [0.0, 12.0, 2.0])


def test_a_wider_range_that_misses_the_worst_takes_nothing_back() -> None:
    wider = np.array([[4.0], [3.0], [9.0], [9.0], [9.0]])
    at = [float(added_by_time(np.array([5.0]), wider, np.array([g]))[0]) for g in (1.2, 2.0, 3.0, 8.0, 20.0, 50.0)]
    assert at == [0.0, 0.0, 2.5, 4.0, 4.0, 4.0]


@pytest.mark.parametrize("stops_at", [1.1, 1.3, 1.7, 3.0, 6.0, 20.0])
def test_what_grows_with_the_range_and_then_no_more_is_never_charged_below_that(stops_at: float) -> None:
    """An option bought, which is worth nothing at worst: in proportion until then, exactly that from there on."""
    wider = np.minimum(np.array(GROWTHS), stops_at)[:, None] * 10.0
    for g in np.linspace(1.0, 32.0, 400).tolist():
        added = float(added_by_time(np.array([10.0]), wider, np.array([g]))[0])
        assert added == pytest.approx(10.0 * min(g, stops_at) - 10.0, rel=1e-12, abs=1e-9)


def test_a_profit_that_is_none_is_refused_wherever_it_stands() -> None:
    rows = np.zeros((10, 2))
    rows[5, 1] = np.nan
    assert np.isnan(losses_by_growth(rows)[2, 1])
    small = ready("1e9")
    broken = replace(small.initial, wider=np.full_like(small.initial.wider, np.nan))
    account = changed.holding(*MIXED)
    book = book_of(account, account.positions, small.market, small.policy)
    with pytest.raises(ForecastError, match="not finite"):
        scanned(broken, book, small.policy.paths)
