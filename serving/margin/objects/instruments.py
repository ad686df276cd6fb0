"""What can be held: perpetuals, futures, options and spot, linear or settled in coin."""

from decimal import Decimal
from typing import Literal

import msgspec

from features.errors import MarketError
from serving.margin.objects.checks import instant, named, positive

Kind = Literal["perpetual", "future", "option", "spot"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Terms of one contract.

    ``multiplier``: of a linear contract, units of the underlying per contract;
    of an inverse perpetual or future, US dollars per contract; of an option,
    units of the underlying per contract, also where it is settled in coin.
    ``contract``: ``linear`` pays quantity x multiplier x price change in the
    settlement asset; ``inverse`` pays in coin, quantity x multiplier x (1/P0 - 1/P1).
    ``expiry_ns``: UTC nanoseconds at which it settles; none for perpetuals and spot.

    Raises
    ------
    MarketError
        If the terms contradict the kind.

    Examples
    --------
    >>> Instrument(symbol="BTC-PERP", kind="perpetual", underlying="BTC", settlement="USDC").multiplier
    Decimal('1')
    """

    symbol: str
    kind: Kind
    underlying: str
    settlement: str
    contract: Literal["linear", "inverse"] = "linear"
    multiplier: Decimal = Decimal(1)
    expiry_ns: int | None = None
    strike: Decimal | None = None
    option: Literal["call", "put"] | None = None
    tick: Decimal = Decimal("0.01")

    def __post_init__(self) -> None:
        """Refuse terms that contradict the kind."""
        for field in ("symbol", "underlying", "settlement"):
            named(getattr(self, field), f"{self.symbol}: {field}", MarketError)
        positive(self.multiplier, f"{self.symbol}: multiplier", MarketError)
        positive(self.tick, f"{self.symbol}: tick", MarketError)
        self._refuse_other_terms()
        if self.strike is not None:
            positive(self.strike, f"{self.symbol}: strike", MarketError)
        if self.expiry_ns is not None:
            instant(self.expiry_ns, f"{self.symbol}: expiry_ns", MarketError)

    @property
    def is_option(self) -> bool:
        """Whether it is a call or a put."""
        return self.kind == "option"

    @property
    def expires(self) -> bool:
        """Whether it has an expiry."""
        return self.expiry_ns is not None

    def _refuse_other_terms(self) -> None:
        """Demand the terms of the kind and refuse those of another."""
        demanded = {"option": ("expiry_ns", "strike", "option"), "future": ("expiry_ns",)}.get(self.kind, ())
        for field in ("expiry_ns", "strike", "option"):
            given = getattr(self, field) is not None
            if given != (field in demanded):
                verb = "has no" if given else "needs"
                raise MarketError(f"{self.symbol}: a contract of kind {self.kind} {verb} {field}; correct its terms")
        if self.kind == "spot" and self.contract == "inverse":
            raise MarketError(f"{self.symbol}: spot is not settled in coin; call it linear")
