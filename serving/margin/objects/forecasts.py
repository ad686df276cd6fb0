"""What a model says of the next hours: the part of a margin that is forecast."""

from decimal import Decimal
from typing import Literal

import msgspec

from features.errors import ForecastError
from serving.margin.objects.checks import finite, instant, named, not_negative, positive, unique


class Tail(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Loss of one side of one underlying over one horizon, fractions of notional.

    ``side``: ``down`` is the loss of a long position, ``up`` that of a short.
    ``variance``: of the log return over ``horizon_s``. ``loss_quantiles`` and
    ``shortfall``: by level ("0.99"), positive = loss. ``stress``, ``floor``,
    ``long_run``: what the whole history says of the same loss (its stressed days'
    shortfall, a high quantile, its own shortfall). ``published``: the rate that is
    in force from an earlier calculation, and since when; a limiter starts from it.
    ``vol_move``: loss quantile of the relative move of implied volatility on that side.
    ``depth_frac``: low quantile of the book's depth, as a fraction of today's.
    """

    underlying: str
    side: Literal["down", "up"]
    horizon_s: int
    variance: float
    loss_quantiles: dict[str, float]
    shortfall: dict[str, float]
    stress: float | None = None
    floor: float | None = None
    long_run: float | None = None
    published: float | None = None
    published_ns: int | None = None
    vol_move: float | None = None
    depth_frac: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that are none and quantiles that fall as their level rises."""
        what = f"forecast of {self.underlying} {self.side} over {self.horizon_s} s"
        named(self.underlying, "forecast: underlying", ForecastError)
        positive(self.horizon_s, f"{what}: horizon_s", ForecastError)
        positive(self.variance, f"{what}: variance", ForecastError)
        for field in ("loss_quantiles", "shortfall"):
            self._check_levels(getattr(self, field), f"{what}: {field}")
        for field in ("floor", "published", "vol_move", "depth_frac"):
            if getattr(self, field) is not None:
                not_negative(getattr(self, field), f"{what}: {field}", ForecastError)
        for field in ("stress", "long_run"):
            if getattr(self, field) is not None:
                positive(getattr(self, field), f"{what}: {field} (leave out what is not known)", ForecastError)
        self._check_tail(what)
        if (self.published is None) != (self.published_ns is None):
            raise ForecastError(f"{what}: published and published_ns belong together; give both or none")
        if self.published_ns is not None:
            instant(self.published_ns, f"{what}: published_ns", ForecastError)

    def _check_tail(self, what: str) -> None:
        """The mean beyond a quantile is not below it."""
        for level, shortfall in self.shortfall.items():
            quantile = self.loss_quantiles.get(level)
            if quantile is not None and shortfall < quantile:
                raise ForecastError(
                    f"{what}: the shortfall at {level} is {shortfall}, below the quantile {quantile}; "
                    "a mean of larger losses is not smaller: correct the forecast"
                )

    @staticmethod
    def _check_levels(table: dict[str, float], what: str) -> None:
        for level, loss in table.items():
            if not _is_level(level):
                raise ForecastError(f"{what}: {level!r} is no level; write it as a decimal within 0.5 and 1, as 0.99")
            finite(loss, f"{what} at {level}", ForecastError)
        unique((Decimal(level) for level in table), f"{what}: level", ForecastError)
        by_level = [table[level] for level in sorted(table, key=Decimal)]
        if by_level != sorted(by_level):
            raise ForecastError(f"{what}: the loss falls as its level rises; the quantiles cross")


class Correlation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Correlation of the underlyings' log returns."""

    names: tuple[str, ...]
    matrix: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        """Refuse what is no correlation matrix."""
        unique(self.names, "correlation: name", ForecastError)
        n = len(self.names)
        if len(self.matrix) != n or any(len(row) != n for row in self.matrix):
            raise ForecastError(f"correlation: {n} names need a matrix of {n} rows and columns")
        for i, row in enumerate(self.matrix):
            for j, value in enumerate(row):
                if not -1 <= value <= 1 or value != self.matrix[j][i] or (i == j and value != 1):
                    raise ForecastError(
                        f"correlation of {self.names[i]} and {self.names[j]} is {value}; "
                        "give a symmetric matrix within -1 and 1 with ones on its diagonal"
                    )


class Residuals(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Joint history for filtered simulation: standardised log returns of the underlyings, one row a date.

    A row times today's forecast volatilities is one path. ``vol_moves``: the
    relative moves of implied volatility that went with each row, where known.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    vol_moves: tuple[tuple[float, ...], ...] = ()

    def __post_init__(self) -> None:
        """Refuse rows of a wrong length and numbers that are none."""
        unique(self.names, "residuals: name", ForecastError)
        for table in (self.rows, self.vol_moves):
            for at, row in enumerate(table):
                if len(row) != len(self.names):
                    raise ForecastError(f"residuals: row {at} has {len(row)} numbers for {len(self.names)} names")
                for value in row:
                    finite(value, f"residuals: row {at}", ForecastError)
        if self.vol_moves and len(self.vol_moves) != len(self.rows):
            raise ForecastError(f"residuals: {len(self.rows)} rows but {len(self.vol_moves)} vol_moves; give one a row")


class ForecastSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All forecasts of one instant; after ``expires_ns`` they are not used."""

    model: str
    model_hash: str
    as_of_ns: int
    expires_ns: int
    tails: tuple[Tail, ...]
    correlation: Correlation | None = None
    residuals: Residuals | None = None

    def __post_init__(self) -> None:
        """Refuse forecasts given twice or that expired before they were made."""
        named(self.model, "forecast: model", ForecastError)
        unique(((t.underlying, t.side, t.horizon_s) for t in self.tails), "forecast: tail", ForecastError)
        instant(self.as_of_ns, "forecast: as_of_ns", ForecastError)
        instant(self.expires_ns, "forecast: expires_ns", ForecastError)
        if self.expires_ns <= self.as_of_ns:
            raise ForecastError(f"forecast: expires_ns {self.expires_ns} is not after as_of_ns {self.as_of_ns}")


def _is_level(text: str) -> bool:
    try:
        return Decimal("0.5") <= Decimal(text) < 1
    except ArithmeticError:
        return False
