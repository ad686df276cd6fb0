"""Bodies of requests and answers; money and quantities are decimal strings."""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

# Plain notation: a decimal of cents must not read 1E+3.
Money = Annotated[Decimal, PlainSerializer(lambda d: format(d, "f"), return_type=str)]
QUANTITY = re.compile(r"-?[0-9]{1,10}(\.[0-9]{1,8})?", re.ASCII)

# What OpenAPI says: also a whole number, which no decoder can spoil.
QUANTITY_SCHEMA = {"anyOf": [{"type": "string", "pattern": f"^{QUANTITY.pattern}$"}, {"type": "integer"}]}


def _exact(value: object) -> object:
    """Take plain decimal strings and whole numbers: a fraction that went through binary is another quantity."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('give the quantity as a decimal string, as in "0.5"')
    if not QUANTITY.fullmatch(str(value)):
        raise ValueError("a quantity has up to 10 digits before the point and up to 8 after it")
    return value


Quantity = Annotated[Money, BeforeValidator(_exact), WithJsonSchema(QUANTITY_SCHEMA)]


class HorizonForecast(BaseModel):
    """Law of the log return over one horizon. Keys of ``quantiles`` and ``shortfall`` are levels."""

    horizon_s: int = Field(description="Horizon in seconds.")
    variance: float = Field(description="Variance of the log return over the horizon.")
    vol_annual: float = Field(description="Its square root, scaled to 365 days.")
    quantiles: dict[str, float] = Field(description="Signed log returns by level.")
    shortfall: dict[str, float] = Field(description="Mean log return beyond the quantile of the level.")


class ForecastAnswer(BaseModel):
    """Forecast of one instrument from the newest full hour."""

    instrument: str
    origin: str = Field(description="Instant from which the horizons run, UTC.")
    expires: str = Field(description="After this instant the forecast is not used.")
    model_id: str
    horizons: list[HorizonForecast]


class PositionBody(BaseModel):
    """A linear perpetual position."""

    model_config = ConfigDict(extra="forbid")

    instrument: str = Field(min_length=1, max_length=64, examples=["BTCUSDT"])
    quantity: Quantity = Field(description="Signed size in units of the underlying.", examples=["1"])


class MarginRequest(BaseModel):
    """Positions of one account; positions in one instrument are netted."""

    model_config = ConfigDict(extra="forbid")

    positions: list[PositionBody] = Field(min_length=1, max_length=1_000)


class InstrumentAnswer(BaseModel):
    """Requirement of one net position; components add up to the cent."""

    instrument: str
    quantity: Money
    mark_price: Money
    notional_usd: Money
    initial_margin_usd: Money
    initial_components_usd: dict[str, Money]
    maintenance_margin_usd: Money
    maintenance_components_usd: dict[str, Money]


class MarginAnswer(BaseModel):
    """Requirement of an account."""

    as_of: str
    origin: str
    model_id: str
    policy_sha256: str
    history_days: int = Field(description="Days of outcomes that stress and floor rest on.")
    initial_margin_usd: Money
    maintenance_margin_usd: Money
    positions: list[InstrumentAnswer]


class Problem(BaseModel):
    """What went wrong, as RFC 9457 problem JSON."""

    type: str
    title: str
    status: int
    detail: str
