"""Derive's standard margin: each market by its positions, markets added up."""

from dataclasses import dataclass

import numpy as np

from serving.margin.charge import Charge, FloatArray, total
from serving.margin.rules.derive_standard.market import Market, StandardAccount
from serving.margin.rules.derive_standard.options import OptionMargin, option_margin
from serving.margin.rules.derive_standard.parameters import Parameters


@dataclass(frozen=True, slots=True)
class MarketMargin:
    """Requirement of one market, by holding: options, perpetuals, base; shape (n,) each charge."""

    charges: tuple[Charge, ...]
    mark_to_market: float
    initial: OptionMargin
    maintenance: OptionMargin


@dataclass(frozen=True, slots=True)
class StandardMargin:
    """Margin of an account. Money in the cash asset; a net balance below zero is too little."""

    net_initial: float
    net_maintenance: float
    mark_to_market: float
    markets: tuple[MarketMargin, ...]


def standard_margin(account: StandardAccount, rule: Parameters) -> StandardMargin:
    r"""Margin an account: what it is worth less what each market demands.

    .. math:: M = C + V - \sum_{markets} (options + perpetuals + base + feeds + peg)

    Parameters
    ----------
    account : cash and markets.
    rule : what the venue sets, the same for every market.

    Raises
    ------
    MarketError, AccountError, SettingError
        If feeds, holdings or parameters are not finite or missing.
    ForecastError
        If a charge comes out as no number.

    References
    ----------
    https://docs.derive.xyz/reference/standard-margin ; github.com/derivexyz/v2-core, StandardManager (rules only).
    """
    markets = tuple(market_margin(market, account.stable_price, rule) for market in account.markets)
    sums = [total(market.charges) for market in markets]
    value = account.cash + sum(market.mark_to_market for market in markets)
    return StandardMargin(
        net_initial=value - sum(initial for initial, _ in sums),
        net_maintenance=value - sum(maintenance for _, maintenance in sums),
        mark_to_market=value,
        markets=markets,
    )


def market_margin(market: Market, stable_price: float, rule: Parameters) -> MarketMargin:
    """What one market demands beyond its value, and that value."""
    marks = market.marks
    initial = option_margin(market, rule, initial=True)
    maintenance = option_margin(market, rule, initial=False)
    perpetual = np.array([abs(p.amount) * p.price for p in market.perpetuals])
    held = market.base * market.spot
    base = np.array([held / stable_price])
    counted = np.array([held * rule.base_weight * market.base_counts])
    charges = (
        _charge(market, "options", options=(marks - initial.net, marks - maintenance.net)),
        _charge(
            market,
            "perpetuals",
            perpetuals=(perpetual * rule.perpetual_initial, perpetual * rule.perpetual_maintenance),
        ),
        _charge(market, "collateral haircut", base=(base - counted * rule.base_initial, base - counted)),
        oracle_contingency(market, rule),
        depeg(market, stable_price, rule),
    )
    value = float(np.add.reduce(marks)) + sum(p.value for p in market.perpetuals) + float(base[0])
    return MarketMargin(charges, value, initial, maintenance)


def oracle_contingency(market: Market, rule: Parameters) -> Charge:
    r"""Initial margin for feeds that are not trusted, :math:`(1 - confidence) \cdot scale \cdot S \cdot size`.

    Only below a threshold; of options only those sold, by their expiry's confidence; of
    base only where it counts at all.
    """
    spot = market.spot_confidence
    expiry = np.array([min(spot, e.confidence) for e in market.expiries])[market.options.expiry]
    perpetual = np.array([min(spot, p.confidence) for p in market.perpetuals])
    scale = rule.confidence_scale * market.spot
    base = market.base if market.base_counts and rule.base_weight * rule.base_initial > 0 else 0.0
    charged = (
        _doubt(expiry, rule.option_threshold) * _sold(market) * scale,
        _doubt(perpetual, rule.perpetual_threshold) * _sizes(market) * scale,
        _doubt(np.array([min(spot, market.base_confidence)]), rule.base_threshold) * base * scale,
    )
    none = tuple(np.zeros(len(part)) for part in charged)
    return Charge("oracle contingency", np.concatenate(charged), np.concatenate(none))


def depeg(market: Market, stable_price: float, rule: Parameters) -> Charge:
    """Initial margin on perpetuals and options sold while the cash asset trades below its peg."""
    share = max(0.0, rule.peg_threshold - stable_price) * rule.peg_scale * market.spot
    none = np.zeros(len(market.options)), np.zeros(len(market.perpetuals))
    return _charge(
        market, "stablecoin peg", options=(_sold(market) * share, none[0]), perpetuals=(_sizes(market) * share, none[1])
    )


def _sold(market: Market) -> FloatArray:
    return np.maximum(-market.options.amount, 0.0)


def _sizes(market: Market) -> FloatArray:
    return np.array([abs(p.amount) for p in market.perpetuals])


def _doubt(confidence: FloatArray, threshold: float) -> FloatArray:
    return np.where(confidence < threshold, 1 - confidence, 0.0)


def _charge(market: Market, name: str, **parts: tuple[FloatArray, FloatArray]) -> Charge:
    """A charge over all holdings of a market; nothing for the kinds not given."""
    numbers = {"options": len(market.options), "perpetuals": len(market.perpetuals), "base": 1}
    pairs = [parts.get(kind, (np.zeros(n), np.zeros(n))) for kind, n in numbers.items()]
    return Charge(name, np.concatenate([i for i, _ in pairs]), np.concatenate([m for _, m in pairs]))
