"""What a synthetic market is made of: a market factor and instruments; frozen, checked, and read from TOML."""

import math
import tomllib
from dataclasses import dataclass
from typing import Any

from features.errors import SettingError
from features.sources.synthetic.factors import Crash, Factor, own_factor, refuse_below

DEFAULT_MARKET, DEFAULT_OWN, DEFAULT_CRASH = Factor(), own_factor(0.25), Crash()


@dataclass(frozen=True)
class Instrument:
    """An instrument: its share in the market, what it does on its own, and how it trades.

    Parameters
    ----------
    beta : what the log price gains with the market's.
    price : at the start, in quote units.
    tick, lot : steps of price and size.
    trades_per_s : long-run mean at average volatility.
    trade_size, depth_size : mean size of a trade and of a level of the book, base units, at average volatility.
    half_spread : of the touch, a fraction of the price, before it is rounded outwards to ticks.
    """

    symbol: str = "BTC-SYN"
    beta: float = 1.0
    own: Factor = DEFAULT_OWN
    crash: Crash = DEFAULT_CRASH
    price: float = 30_000.0
    tick: float = 1.0
    lot: float = 0.001
    trades_per_s: float = 2.0
    trade_size: float = 0.1
    depth_size: float = 2.0
    half_spread: float = 0.00003

    def __post_init__(self) -> None:
        """Refuse what is not positive."""
        sizes = (self.price, self.tick, self.lot, self.trade_size, self.depth_size, self.half_spread)
        refuse_below(0.0, f"{self.symbol}: prices, steps, sizes and spread", *sizes, strict=True)
        refuse_below(0.0, f"{self.symbol}: trades_per_s", self.trades_per_s)
        if len(self.own.levels) != 1 or not math.isfinite(self.beta):
            raise SettingError(f"{self.symbol}: beta is finite, and its own factor has one regime")

    def diffusion_variance(self, market: Factor) -> float:
        """Long-run annual variance of the diffusion."""
        return self.beta**2 * market.diffusion_variance + self.own.diffusion_variance


DEFAULT_INSTRUMENTS = (
    Instrument(),
    Instrument("ETH-SYN", 1.2, own_factor(0.35), Crash(), 2_000.0, 0.1, 0.01, 1.5, 1.5, 30.0, 0.00004),
    Instrument("SOL-SYN", 1.5, own_factor(0.55), Crash(), 80.0, 0.01, 0.1, 1.0, 20.0, 400.0, 0.0001),
)


@dataclass(frozen=True)
class MarketSpec:
    """A market factor and the instruments that share it."""

    market: Factor = DEFAULT_MARKET
    instruments: tuple[Instrument, ...] = DEFAULT_INSTRUMENTS

    def __post_init__(self) -> None:
        """Refuse a market without instruments, and names that come twice."""
        if not self.instruments or len(set(self.symbols)) != len(self.symbols):
            raise SettingError("a market needs at least one instrument, each with a symbol of its own")

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the instruments, in order."""
        return tuple(instrument.symbol for instrument in self.instruments)

    def index(self, symbol: str) -> int:
        """Place of an instrument.

        Raises
        ------
        SettingError
            If there is none of this name; the message lists those that there are.
        """
        if symbol not in self.symbols:
            raise SettingError(f"no instrument {symbol!r} in this market; known: {', '.join(self.symbols)}")
        return self.symbols.index(symbol)

    def first(self, count: int) -> "MarketSpec":
        """The same market with its first instruments only; SettingError if it has fewer."""
        if not 1 <= count <= len(self.instruments):
            raise SettingError(f"{count} instruments of a market that has {len(self.instruments)}; choose fewer")
        return MarketSpec(self.market, self.instruments[:count])

    @classmethod
    def from_toml(cls, text: str) -> "MarketSpec":
        r"""Read a market from TOML: tables ``market`` and ``[[instruments]]``, each field by its name.

        Raises
        ------
        SettingError
            If the text is no TOML, or names a field that there is not.

        Examples
        --------
        >>> text = "[market]\nleverage = -0.6\n[[instruments]]\nsymbol = 'A'\nbeta = 1.1"
        >>> spec = MarketSpec.from_toml(text)
        >>> spec.market.leverage, spec.symbols, spec.instruments[0].beta
        (-0.6, ('A',), 1.1)
        """
        try:
            value = tomllib.loads(text)
            market = _build(Factor, value.pop("market", {}))
            given = [_instrument(item) for item in value.pop("instruments", [])]
        except (tomllib.TOMLDecodeError, TypeError, AttributeError) as error:
            raise SettingError(
                f"the market cannot be read ({error}); write fields as docs/synthetic.md does"
            ) from error
        if value:
            raise SettingError(f"a market has no table {', '.join(value)}; it has market and instruments")
        return cls(market, tuple(given) or DEFAULT_INSTRUMENTS)


def _instrument(item: dict[str, Any]) -> Instrument:
    """One instrument; what its own factor leaves out is as that of the first default."""
    own = vars(own_factor(0.25)) | item.get("own", {})
    names = Factor.__dataclass_fields__
    parts = {"own": _build(Factor, {n: v for n, v in own.items() if n in names or n in item.get("own", {})})}
    parts |= {"crash": _build(Crash, item.get("crash", {}))}
    built: Instrument = _build(Instrument, item | parts)
    return built


def _build(kind: Any, value: dict[str, Any]) -> Any:  # noqa: ANN401 - any of the classes above
    return kind(**{name: _frozen(cell) for name, cell in value.items()})


def _frozen(value: Any) -> Any:  # noqa: ANN401 - any TOML value
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
