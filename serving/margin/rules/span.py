"""SPAN: sixteen scenarios, spreads between expiries, credits between underlyings, a minimum for short options."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError
from serving.margin.charge import Charge, allocated
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction, not_negative, positive
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.rules.scenario_scan import Scan, scan
from serving.margin.scenarios.span import span

FloatArray = NDArray[np.float64]
NAME = "span"


class Credit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Share of the scan risk of two underlyings that opposite deltas take off both."""

    first: str
    second: str
    rate: float

    def __post_init__(self) -> None:
        """Refuse shares outside 0 and 1."""
        fraction(self.rate, f"{NAME}: credit of {self.first} and {self.second}: rate", SettingError)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a clearing house sets.

    ``scan_range``, ``scan_ranges``: price scan range, fraction of spot, of every and of some underlyings.
    ``vol_range``: relative volatility scan range. ``extreme``, ``cover``: of scenarios 15 and 16.
    ``short_option_rate``: minimum per short option, fraction of the scan range of one unit.
    ``spread_rate``: charge for a calendar spread, fraction of the spread's value.
    ``credits``: in order of priority. ``maintenance_share``: of the initial margin.
    """

    source: str = ""
    scan_range: float = 0.20
    scan_ranges: dict[str, float] = {}
    vol_range: float = 0.25
    extreme: float = 3.0
    cover: float = 0.33
    short_option_rate: float = 0.05
    spread_rate: float = 0.01
    credits: tuple[Credit, ...] = ()
    maintenance_share: float = 0.9

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        for name, value in {"all": self.scan_range, **self.scan_ranges}.items():
            positive(value, f"{NAME}: scan range of {name}", SettingError)
        for field in ("vol_range", "cover", "short_option_rate", "spread_rate", "maintenance_share"):
            fraction(getattr(self, field), f"{NAME}: {field}", SettingError)
        not_negative(self.extreme, f"{NAME}: extreme", SettingError)


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    r"""Margin of each underlying, or its short-option minimum if that is more.

    .. math:: \max(scan + spread - credit, short\ option\ minimum)

    References
    ----------
    CME, "SPAN methodology"; McMillan, "Options as a Strategic Investment", chapter 34.
    """
    names = tuple(sorted(market.underlyings))
    width = np.array([parameters.scan_ranges.get(name, parameters.scan_range) for name in names])
    still = np.zeros(len(names))
    ranges = Ranges(names, 0, np.minimum(width, 1.0), width, still, still, ())
    terms = ScenarioPolicy(
        vol_up=parameters.vol_range,
        vol_down=parameters.vol_range,
        short_power=0.0,
        long_power=0.0,
        span_extreme=parameters.extreme,
        span_cover=parameters.cover,
        vol_floor=0.0,
    )
    found = scan(account, market, span(ranges, terms), terms)
    spread, credit = _spreads(found, market, parameters), _credits(found, width, names, parameters)
    minimum = _minimum(found, width, parameters)
    lacking = found.by_underlying(minimum) - found.by_underlying(found.worst + spread - credit)
    topped = np.maximum(lacking, 0.0)[found.book.positions.underlying] * _within(found, minimum)
    parts = {"scan risk": found.worst, "calendar spreads": spread, "inter-underlying credit": -credit}
    parts["short option minimum"] = topped
    return tuple(Charge(name, part, part * parameters.maintenance_share) for name, part in parts.items())


def worst_loss(array: FloatArray) -> float:
    """Scan risk of a risk array: the largest loss in its scenarios, never below 0; profits positive.

    Examples
    --------
    >>> worst_loss(np.array([50.0, -20.0, -70.0]))
    70.0
    """
    return max(0.0, float(-np.min(array)))


def _spreads(found: Scan, market: MarketSnapshot, parameters: Parameters) -> FloatArray:
    """Charge for deltas of one underlying that offset each other in different expiries, given to both legs."""
    held = found.book.positions
    delta = found.delta_usd
    expiry = [market.instruments[row].expiry_ns or 0 for row in held.instrument]
    out = np.zeros(len(delta))
    for u in range(len(found.market.underlyings)):
        rows = np.flatnonzero(held.underlying == u)
        nets = {e: float(np.add.reduce([delta[r] for r in rows if expiry[r] == e])) for e in {expiry[r] for r in rows}}
        long = sum(net for net in nets.values() if net > 0)
        short = -sum(net for net in nets.values() if net < 0)
        if min(long, short) > 0:
            out[rows] = allocated(parameters.spread_rate * min(long, short), np.abs(delta[rows]))
    return out


def _credits(found: Scan, width: FloatArray, names: tuple[str, ...], parameters: Parameters) -> FloatArray:
    """Credit for opposite deltas of paired underlyings, never more than an underlying's own scan risk."""
    delta = found.by_underlying(found.delta_usd)
    risk = found.by_underlying(found.worst)
    given = np.zeros(len(names))
    for credit in parameters.credits:
        if credit.first not in names or credit.second not in names:
            continue
        i, j = names.index(credit.first), names.index(credit.second)
        if delta[i] * delta[j] >= 0:
            continue
        paired = min(abs(delta[i]), abs(delta[j]))
        for u in (i, j):
            given[u] = min(given[u] + credit.rate * paired * width[u], risk[u])
            delta[u] -= np.sign(delta[u]) * paired
    return given[found.book.positions.underlying] * _within(found, found.worst)


def _minimum(found: Scan, width: FloatArray, parameters: Parameters) -> FloatArray:
    """Minimum of short options, by position: a share of the scan range of what they are written on."""
    held = found.book.positions
    options = found.market.options.is_option[held.instrument]
    spot = found.market.spot[held.underlying] * found.market.usd_per_point[held.instrument]
    short = np.where(options, np.maximum(-held.quantity, 0.0), 0.0)
    return short * spot * width[held.underlying] * parameters.short_option_rate


def _within(found: Scan, amounts: FloatArray) -> FloatArray:
    """Share of each position in its underlying's sum of amounts, shape (p,)."""
    out = np.zeros(len(amounts))
    underlying = found.book.positions.underlying
    for u in range(len(found.market.underlyings)):
        rows = underlying == u
        if rows.any():
            out[rows] = allocated(1.0, amounts[rows])
    return out
