"""Portfolio margin as Deribit publishes it: nine prices by three volatilities, an extended table, contingencies."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError
from serving.margin.charge import Charge
from serving.margin.objects import Account, MarketSnapshot
from serving.margin.objects.checks import fraction
from serving.margin.policy import ScenarioPolicy
from serving.margin.ranges import Ranges
from serving.margin.rules.scenario_scan import Scan, scan
from serving.margin.scenarios.grid import grid
from serving.margin.scenarios.scenario_set import joined
from serving.margin.scenarios.tails import tails

FloatArray = NDArray[np.float64]
NAME = "deribit_portfolio"


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The venue's ranges and rates.

    ``price_range``: fraction of spot, four steps a side. ``vol_range``: relative, at 30 days, times
    (30 / days)^``power``. ``extended``: moves beyond it, volatility up, dampened to the range.
    ``future_rate``: of offsetting futures. ``option_rate``: units of the underlying per net short
    option of a strike. ``maintenance_share``: of the initial margin.
    """

    source: str = ""
    price_range: float
    vol_range: float
    power: float
    extended: tuple[float, ...]
    future_rate: float
    option_rate: float
    maintenance_share: float

    def __post_init__(self) -> None:
        """Refuse rates that are none."""
        for field in ("price_range", "vol_range", "power", "future_rate", "option_rate", "maintenance_share"):
            fraction(getattr(self, field), f"{NAME}: {field}", SettingError)


def charges(account: Account, market: MarketSnapshot, parameters: Parameters) -> tuple[Charge, ...]:
    r"""Worst of the matrix and the extended table per underlying, and both contingencies.

    .. math:: IM = scan + 0.01\, n_{short} S + r_f \cdot hedged\ futures

    References
    ----------
    https://support.deribit.com/hc/en-us/articles/25944756247837-Portfolio-Margin (ranges, extended table);
    https://www.deribit.com/pages/docs/portfoliomargin as stored (contingencies).
    """
    names = tuple(sorted(market.underlyings))
    width, still = np.full(len(names), parameters.price_range), np.zeros(len(names))
    ranges = Ranges(names, 0, width, width, still, still, ())
    vol = parameters.vol_range
    terms = ScenarioPolicy(
        vol_up=vol,
        vol_down=vol,
        short_power=parameters.power,
        long_power=parameters.power,
        tail_moves=parameters.extended,
        vol_floor=0.0,
    )
    found = scan(account, market, joined([grid(ranges, terms), tails(ranges, terms)]), terms)
    futures, options = _futures(found, parameters.future_rate), _options(found, market, parameters.option_rate)
    parts = {"scan": found.worst, "futures contingency": futures, "short option contingency": options}
    return tuple(Charge(name, part, part * parameters.maintenance_share) for name, part in parts.items())


def _futures(found: Scan, rate: float) -> FloatArray:
    """Charge on futures and perpetuals of one underlying that offset each other."""
    held = found.book.positions
    size = np.where(found.market.options.is_option[held.instrument], 0.0, found.delta_usd)
    gross, net = found.by_underlying(np.abs(size)), np.abs(found.by_underlying(size))
    share = np.abs(size) / np.maximum(gross, np.finfo(float).tiny)[held.underlying]
    charged: FloatArray = rate * ((gross - net) / 2)[held.underlying] * share
    return charged


def _options(found: Scan, market: MarketSnapshot, rate: float) -> FloatArray:
    """Charge on what is net short at one strike of one expiry, calls and puts together, given to the short ones."""
    held = found.book.positions
    net: dict[object, float] = {}
    short: dict[object, float] = {}
    keys = [_strike(market, int(row)) for row in held.instrument]
    for key, quantity in zip(keys, held.quantity, strict=True):
        net[key] = net.get(key, 0.0) + float(quantity)
        short[key] = short.get(key, 0.0) + max(-float(quantity), 0.0)
    usd = found.market.usd_per_point[held.instrument] * found.market.spot[held.underlying]
    parts = [
        max(-float(q), 0.0) / short[k] * max(-net[k], 0.0) if k is not None and q < 0 else 0.0
        for k, q in zip(keys, held.quantity, strict=True)
    ]
    charged: FloatArray = rate * np.array(parts, dtype=np.float64) * usd
    return charged


def _strike(market: MarketSnapshot, row: int) -> object:
    terms = market.instruments[row]
    return (terms.underlying, terms.expiry_ns, terms.strike) if terms.is_option else None
