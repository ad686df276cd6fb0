"""Derive's portfolio margin: a slow reading of the rule, laws, and no fault that lowers a margin."""

import math
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from features.errors import AccountError, DataError, ForecastError, MarketError, SettingError
from serving.margin.charge import total
from serving.margin.rules.derive_portfolio import (
    PUBLISHED,
    Expiry,
    Holding,
    Options,
    Parameters,
    Perpetual,
    Portfolio,
    Scenario,
    forward_parts,
    portfolio_margin,
    read_parameters,
)
from serving.margin.rules.derive_portfolio.contingencies import naked_shorts
from serving.margin.rules.derive_portfolio.shocks import skew_factors, skew_width, static_discounts, volatility_factors

DAY_S = 86_400.0
MONTH = Expiry(30 * DAY_S, 0.0, 101.0, 0.05, 1.0)
FEEDS = ("spot", "perpetual", "expiry", "collateral")


def options(*rows: tuple[int, float, float, float, bool]) -> Options:
    """Rows of expiry, strike, amount, vol, call."""
    table = np.array(rows, dtype=np.float64)
    return Options(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3], table[:, 4] > 0)


def drawn(seed: int, size: int = 8) -> Portfolio:
    """A portfolio with every kind of holding, three expiries, one of them half settled, and doubtful feeds."""
    rng = np.random.default_rng(seed)
    spot = float(rng.uniform(50, 150))
    expiries = tuple(
        Expiry(days * DAY_S, *forward_parts(spot * (1 + days / 2_000), days * DAY_S, 0.99 * spot), 0.06, float(c))
        for days, c in zip((0.01, 12.0, 200.0), rng.uniform(0.3, 1, 3), strict=True)
    )
    strikes = np.round(spot * rng.choice([0.7, 0.9, 1.0, 1.1, 1.4], size))
    book = Options(
        rng.integers(0, 3, size), strikes, rng.normal(0, 3, size), rng.uniform(0.2, 1.2, size), rng.random(size) < 0.5
    )
    return Portfolio(
        cash=float(rng.normal(0, 100)),
        spot=spot,
        stable_price=float(rng.choice([0.95, 1.0, 1.01])),
        spot_confidence=float(rng.uniform(0.4, 1)),
        expiries=expiries,
        options=book,
        perpetuals=(Perpetual(float(rng.normal(0, 5)), spot * 1.001, float(rng.uniform(0.4, 1)), -7.0),),
        collateral=(Holding(2.0, spot, 0.005, 0.015, True, 0.9), Holding(30.0, 1.0, 0.03, 0.02, False, 0.5)),
    )


@dataclass
class Slow:
    """The rule's text, one option and one scenario at a time."""

    held: Portfolio
    rule: Parameters

    @property
    def rows(self) -> list[tuple[int, float, float, float, bool]]:
        return list(zip(*(getattr(self.held.options, f).tolist() for f in Options.__slots__), strict=True))

    def years(self, e: int) -> float:
        return self.held.expiries[e].seconds / (365 * DAY_S)

    def price(self, row: tuple[int, float, float, float, bool], spot: float, direction: str) -> float:
        e, strike, amount, vol, is_call = row
        expiry, t = self.held.expiries[e], self.years(e)
        forward = expiry.fixed + expiry.variable * spot
        deviation = max(self.moved_vol(vol, strike, e, direction) * math.sqrt(t), 1e-12)
        d1 = math.log(forward / strike) / deviation + deviation / 2
        call = forward * norm.cdf(d1) - strike * norm.cdf(d1 - deviation)
        put = strike * norm.cdf(deviation - d1) - forward * norm.cdf(-d1)
        return float(amount * math.exp(-expiry.rate * t) * (call if is_call else put))

    def moved_vol(self, vol: float, strike: float, e: int, direction: str) -> float:
        seconds, v = self.held.expiries[e].seconds, self.rule.vol
        growth: float = (30 * DAY_S / max(seconds, v.floor_s)) ** (
            v.short_power if seconds <= 30 * DAY_S else v.long_power
        )
        if direction == "up":
            return max(v.lowest_after_rise, vol * (1 + v.range_up * growth))
        if direction == "down":
            return vol * max(0.0, 1 - v.range_down * growth)
        return vol if direction == "none" else vol * self.skewed(strike, e, direction)

    def skewed(self, strike: float, e: int, direction: str) -> float:
        k, root = self.rule.skew, math.sqrt(self.years(e))
        m = math.log(strike / self.held.expiries[e].forward)
        m = m if direction == "linear" else abs(m)
        base, slope = (k.linear_base, k.linear_slope) if direction == "linear" else (k.abs_base, k.abs_slope)
        cap = base + slope * root
        width = max(k.least_width, root * k.width_scale * (k.vol_base + k.vol_slope * root))
        return max(0.0, 1 + (min(cap, m * cap / width) if m >= 0 else max(-cap, m * cap / width)))

    def of_expiry(self, e: int, spot: float, direction: str) -> float:
        return sum(self.price(row, spot, direction) for row in self.rows if row[0] == e)

    def profit(self, scenario: Scenario) -> float:
        held, skewed = self.held, scenario.vol in ("linear", "abs")
        linear = sum(p.amount * p.price for p in held.perpetuals)
        linear += sum(c.amount * c.price / held.stable_price for c in held.collateral if c.hedges)
        out = linear * (scenario.spot - 1) * scenario.damping
        for e in range(len(held.expiries)):
            worth = self.of_expiry(e, 1.0 if skewed else scenario.spot, scenario.vol)
            change = (worth * self.static(e, worth) - self.of_expiry(e, 1.0, "none")) * scenario.damping
            out += -abs(change) if skewed else change
        return out

    def static(self, e: int, worth: float) -> float:
        rate, t, d = self.held.expiries[e].rate, self.years(e), self.rule.discount
        if worth >= 0:
            return d.long_base * math.exp(-t * (rate * d.long_rate_scale + d.long_rate_add))
        return min(math.exp(rate * t), d.short_base * math.exp(t * (rate * d.short_rate_scale + d.short_rate_add)))

    def basis(self) -> float:
        out, rule = 0.0, self.rule.basis
        for e in range(len(self.held.expiries)):
            now = self.of_expiry(e, 1.0, "none")
            moves = [self.of_expiry(e, spot, "none") - now for spot in (rule.spot_up, rule.spot_down)]
            out += min(*moves, 0.0) * (rule.add + rule.scale * self.years(e))
        return out

    def doubt(self, *confidence: float) -> float:
        c, least = self.rule.contingency, min(confidence)
        return (1 - least) * c.confidence_scale if least < c.confidence_threshold else 0.0

    def contingencies(self) -> tuple[float, float]:
        """Maintenance, and what comes on top initially."""
        held, c = self.held, self.rule.contingency
        common = min(held.spot_confidence, *(p.confidence for p in held.perpetuals))
        size = sum(abs(p.amount) for p in held.perpetuals) * held.spot
        maintenance, initial = size * c.perpetual_maintenance, size * (c.perpetual_initial + self.doubt(common))
        for place in {row[:2] for row in self.rows}:
            naked = max(0.0, -sum(row[2] for row in self.rows if row[:2] == place)) * held.spot
            maintenance, initial = maintenance + naked * c.option_maintenance, initial + naked * c.option_initial
        for row in self.rows:
            initial += abs(row[2]) * held.spot * self.doubt(common, held.expiries[row[0]].confidence)
        for h in held.collateral:
            worth = h.amount * h.price / held.stable_price
            maintenance += worth * h.maintenance
            initial += worth * (h.initial + self.doubt(h.confidence, held.spot_confidence))
        return maintenance, initial

    def net(self) -> tuple[float, float]:
        held, c = self.held, self.rule.contingency
        value = held.cash + sum(p.value for p in held.perpetuals)
        value += sum(self.of_expiry(e, 1.0, "none") for e in range(len(held.expiries)))
        value += sum(h.amount * h.price / held.stable_price for h in held.collateral)
        worst = min(self.basis(), *(self.profit(s) for s in self.rule.scenarios))
        factor = self.rule.initial_factor + max(0.0, c.peg_threshold - held.stable_price) * c.peg_scale
        maintenance, initial = self.contingencies()
        low = value + self.rule.maintenance_factor * worst - maintenance
        return value + factor * worst - maintenance - initial, low


BASIS = msgspec.structs.replace(PUBLISHED, basis=msgspec.structs.replace(PUBLISHED.basis, add=12.0, scale=5.0))
SKEWED = msgspec.structs.replace(
    PUBLISHED,
    scenarios=(*PUBLISHED.scenarios, Scenario(1.1, "linear", 0.7), Scenario(0.9, "abs", 2.0)),
    skew=msgspec.structs.replace(PUBLISHED.skew, linear_base=9.5, abs_base=4.0, width_scale=5.0, vol_slope=0.4),
)


@pytest.mark.parametrize("rule", [PUBLISHED, BASIS, SKEWED], ids=["published", "basis", "skew"])
@pytest.mark.parametrize("seed", range(8))
def test_the_rule_read_slowly_gives_the_same(seed: int, rule: Parameters) -> None:
    found, slow = portfolio_margin(drawn(seed), rule), Slow(drawn(seed), rule)
    expected = pytest.approx([slow.profit(s) for s in rule.scenarios], rel=1e-9, abs=1e-8)
    assert found.outcome.pnl.tolist() == expected
    assert found.outcome.basis.sum() == pytest.approx(slow.basis(), rel=1e-9, abs=1e-8)
    assert (found.net_initial, found.net_maintenance) == pytest.approx(slow.net(), rel=1e-10, abs=1e-8)


def test_the_forward_contingency_is_named_where_it_is_the_worst() -> None:
    call = options((0, 100, -1, 0.5, True))
    held = Portfolio(0.0, 100.0, 1.0, expiries=(MONTH,), options=call)
    assert portfolio_margin(held, BASIS).worst == "forward contingency"


@pytest.mark.parametrize("seed", range(6))
def test_charges_add_up_to_value_less_net_balance_and_are_never_negative_in_sum(seed: int) -> None:
    found = portfolio_margin(drawn(seed), PUBLISHED)
    initial, maintenance = total(found.charges)
    assert found.mark_to_market - found.net_initial == pytest.approx(initial, rel=1e-12)
    assert found.mark_to_market - found.net_maintenance == pytest.approx(maintenance, rel=1e-12)
    assert all(one.initial.sum() >= 0 and one.maintenance.sum() >= 0 for one in found.charges)
    assert found.worst_pnl <= found.outcome.pnl.min()


@given(seed=st.integers(0, 40), scale=st.floats(0.1, 50))
def test_twice_the_portfolio_needs_twice_the_margin(seed: int, scale: float) -> None:
    held = drawn(seed)
    larger = replace(
        held,
        cash=held.cash * scale,
        options=replace(held.options, amount=held.options.amount * scale),
        perpetuals=tuple(replace(p, amount=p.amount * scale, value=p.value * scale) for p in held.perpetuals),
        collateral=tuple(replace(c, amount=c.amount * scale) for c in held.collateral),
    )
    one, many = portfolio_margin(held, PUBLISHED), portfolio_margin(larger, PUBLISHED)
    assert many.net_initial == pytest.approx(scale * one.net_initial, rel=1e-9, abs=1e-7)
    assert many.net_maintenance == pytest.approx(scale * one.net_maintenance, rel=1e-9, abs=1e-7)
    assert many.worst == one.worst


@given(seed=st.integers(0, 40), feed=st.sampled_from(FEEDS), lower=st.floats(0, 1))
def test_less_confidence_only_raises_the_requirement(seed: int, feed: str, lower: float) -> None:
    held = drawn(seed)
    doubted = {
        "spot": lambda: replace(held, spot_confidence=held.spot_confidence * lower),
        "perpetual": lambda: replace(held, perpetuals=(replace(held.perpetuals[0], confidence=0.4 * lower),)),
        "expiry": lambda: replace(
            held, expiries=tuple(replace(e, confidence=e.confidence * lower) for e in held.expiries)
        ),
        "collateral": lambda: replace(
            held, collateral=tuple(replace(c, confidence=c.confidence * lower) for c in held.collateral)
        ),
    }[feed]()
    before, after = portfolio_margin(held, PUBLISHED), portfolio_margin(doubted, PUBLISHED)
    assert after.net_initial <= before.net_initial
    assert after.net_maintenance == before.net_maintenance


def test_a_feed_below_its_threshold_costs_its_doubt_of_the_notional() -> None:
    """3 perpetuals at spot 100, confidence 0.5 of 1: half of 300 on top, initially only."""
    held = Portfolio(0.0, 100.0, 1.0, perpetuals=(Perpetual(3.0, 100.0, 0.5),))
    trusted = replace(held, perpetuals=(Perpetual(3.0, 100.0, 0.55),))
    doubted, sure = portfolio_margin(held, PUBLISHED), portfolio_margin(trusted, PUBLISHED)
    assert sure.net_initial - doubted.net_initial == pytest.approx(150.0)
    assert doubted.net_maintenance == sure.net_maintenance


@given(price=st.floats(0.5, 0.979))
def test_a_cash_asset_off_its_peg_raises_the_initial_factor(price: float) -> None:
    """Long perpetual of 1,000: worst move 18 %, so the surcharge is 180 x 2 x the distance."""
    held = Portfolio(0.0, 100.0, 1.0, perpetuals=(Perpetual(10.0, 100.0),))
    pegged, off = portfolio_margin(held, PUBLISHED), portfolio_margin(replace(held, stable_price=price), PUBLISHED)
    assert pegged.net_initial - off.net_initial == pytest.approx(180 * 2 * (0.98 - price), rel=1e-9)
    assert pegged.worst == "spot -18 %, vol up"


def test_a_box_earns_and_loses_nothing_where_nothing_is_discounted() -> None:
    """Long and short synthetic forwards at two strikes: put-call parity in every scenario."""
    box = options((0, 90, 1, 0.6, True), (0, 90, -1, 0.6, False), (0, 110, -1, 0.7, True), (0, 110, 1, 0.7, False))
    plain = msgspec.structs.replace(
        PUBLISHED,
        discount=msgspec.structs.replace(PUBLISHED.discount, long_base=1.0, long_rate_scale=0.0, long_rate_add=0.0),
    )
    found = portfolio_margin(Portfolio(0.0, 100.0, 1.0, expiries=(MONTH,), options=box), plain)
    assert np.abs(found.outcome.pnl).max() < 1e-12
    assert found.mark_to_market == pytest.approx(20 * math.exp(-0.05 * 30 / 365))


def test_cash_alone_needs_nothing() -> None:
    found = portfolio_margin(Portfolio(123.0, 100.0, 0.9), PUBLISHED)
    assert (found.net_initial, found.net_maintenance, found.worst) == (123.0, 123.0, "none")


def test_a_settlement_average_takes_the_market_out_of_an_expiry() -> None:
    """In the last half hour of a deep call only the share of time that is left moves."""
    call = options((0, 10.0, -1.0, 0.5, True))
    losses = []
    for seconds in (1_800.0, 900.0, 450.0):
        expiry = Expiry(seconds, *forward_parts(100.0, seconds, 100.0), 0.0, 1.0)
        held = Portfolio(0.0, 100.0, 1.0, expiries=(expiry,), options=call)
        losses.append(-portfolio_margin(held, PUBLISHED).outcome.pnl[0])
    assert losses == pytest.approx([18.0, 9.0, 4.5], abs=1e-9)


@pytest.mark.parametrize(
    ("rows", "naked"),
    [
        ([(0, 100, -2, 0.5, True)], [2.0]),
        ([(0, 100, -2, 0.5, True), (0, 100, 1.5, 0.5, False)], [0.5, 0.0]),
        ([(0, 100, 1, 0.5, True), (0, 100, -3, 0.5, False)], [0.0, 2.0]),
        ([(0, 100, -2, 0.5, True), (0, 100, -1, 0.5, False)], [2.0, 1.0]),
        ([(0, 100, -2, 0.5, True), (0, 101, 2, 0.5, True), (1, 100, 2, 0.5, True)], [2.0, 0.0, 0.0]),
    ],
)
def test_only_the_same_strike_and_expiry_covers_what_is_sold(rows: Any, naked: list[float]) -> None:
    held = Portfolio(0.0, 100.0, 1.0, expiries=(MONTH, replace(MONTH, seconds=DAY_S)), options=options(*rows))
    assert naked_shorts(held).tolist() == naked


def test_volatility_moves_more_the_sooner_an_option_expires() -> None:
    up, down = volatility_factors(np.array([0.0, 1, 7, 30, 90, 365]) * DAY_S, PUBLISHED.vol)
    assert up[3] == 1.5
    assert down[3] == 0.725
    assert (np.diff(up[1:]) < 0).all()
    assert up[0] == up[1]  # the floor of one day
    assert volatility_factors(np.array([DAY_S]), msgspec.structs.replace(PUBLISHED.vol, range_down=2.0))[1] == 0


@given(st.floats(-2, 2), st.floats(-0.5, 0.5), st.floats(0.01, 2))
def test_a_skew_is_a_clipped_line(k: float, cap: float, width: float) -> None:
    found = float(skew_factors(np.array([k]), np.array([cap]), np.array([width]))[0])
    line = k * cap / width
    assert found == max(0.0, 1 + (min(cap, line) if k >= 0 else max(-cap, line)))


def test_a_short_expiry_grows_by_no_more_than_its_own_discount() -> None:
    years, rate = np.array([0.1, 1.0, 1.0]), np.array([0.0, 0.05, 0.9])
    owned, owed = static_discounts(years, rate, PUBLISHED.discount)
    assert owed == pytest.approx([1.0, math.exp(0.05), 1.04 * math.exp(0.9 * 0.5 + 0.08)])
    assert owned == pytest.approx(0.95 * np.exp(-years * (rate + 0.08)))
    assert static_discounts(years, -rate, PUBLISHED.discount)[1] == pytest.approx(np.ones(3))


def test_parameters_survive_a_plain_mapping_and_refuse_what_they_do_not_know() -> None:
    plain = msgspec.to_builtins(PUBLISHED)
    assert read_parameters(plain) == PUBLISHED
    for group, key in ((plain, "peg"), (plain["vol"], "range"), (plain["collateral"]["BTC"], "haircut")):
        group[key] = 1.0
        with pytest.raises(SettingError, match=f"unknown field `{key}`"):
            read_parameters(plain)
        del group[key]


@pytest.mark.parametrize("part", ["vol", "skew", "discount", "basis", "contingency"])
def test_parameters_that_are_no_numbers_are_refused(part: str) -> None:
    for field in getattr(PUBLISHED, part).__struct_fields__:
        for wrong in (math.nan, math.inf):
            with pytest.raises(SettingError, match=field):
                msgspec.structs.replace(getattr(PUBLISHED, part), **{field: wrong})


@pytest.mark.parametrize("change", [{"scenarios": ()}, {"initial_factor": 0.0}, {"maintenance_factor": math.nan}])
def test_parameters_that_make_a_margin_of_nothing_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(SettingError):
        msgspec.structs.replace(PUBLISHED, **change)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize("place", ["cash", "spot", "stable_price", "spot_confidence"])
def test_feeds_that_are_no_numbers_are_refused(place: str, wrong: float) -> None:
    change: dict[str, Any] = {place: wrong}
    with pytest.raises((MarketError, AccountError), match=place):
        replace(drawn(1), **change)


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (drawn(1).expiries[1], ("seconds", "fixed", "variable", "rate", "confidence")),
        (drawn(1).perpetuals[0], ("amount", "price", "confidence", "value")),
        (drawn(1).collateral[0], ("amount", "price", "initial", "maintenance", "confidence")),
    ],
)
def test_holdings_that_are_no_numbers_are_refused(kind: Any, fields: tuple[str, ...], wrong: float) -> None:
    for field in fields:
        with pytest.raises(DataError):
            replace(kind, **{field: wrong})


@pytest.mark.parametrize("field", ["strike", "amount", "vol"])
def test_options_that_are_no_numbers_are_refused(field: str) -> None:
    held = drawn(1).options
    column = getattr(held, field).copy()
    column[2] = math.nan
    with pytest.raises((MarketError, AccountError), match="option 2"):
        replace(held, **{field: column})


def test_an_option_without_feeds_is_refused() -> None:
    with pytest.raises(MarketError, match="no feeds of its expiry"):
        Portfolio(0.0, 100.0, 1.0, expiries=(MONTH,), options=options((1, 100, 1, 0.5, True)))


def test_a_shock_without_width_or_floor_is_refused() -> None:
    with pytest.raises(SettingError, match="least_width"):
        skew_factors(np.array([0.1]), np.array([0.1]), skew_width(np.zeros(1), _flat()))
    with pytest.raises(SettingError, match="floor_s"):
        volatility_factors(np.zeros(1), msgspec.structs.replace(PUBLISHED.vol, floor_s=0.0))


def _flat() -> Any:
    return msgspec.structs.replace(PUBLISHED.skew, least_width=0.0)


def test_a_margin_of_infinite_numbers_is_refused() -> None:
    """Finite inputs whose product is not: nothing is made of it."""
    held = Portfolio(0.0, 1e12, 1e-300, collateral=(Holding(1e12, 1e12, 0.0, 0.1),))
    with np.errstate(all="ignore"), pytest.raises(ForecastError, match="no margin is made of it"):
        portfolio_margin(held, PUBLISHED)
