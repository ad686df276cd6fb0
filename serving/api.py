"""The endpoint: parse, call the predictor and the margin functions, format."""

import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from features.clock import format_utc
from features.errors import DataError, UnknownHorizonError, UnknownInstrumentError
from serving.margin.requirement import InstrumentMargin, Position, net, require
from serving.predictor import Predictor, Published
from serving.schemas import (
    ForecastAnswer,
    HorizonForecast,
    InstrumentAnswer,
    MarginAnswer,
    MarginRequest,
    Problem,
)

YEAR_S = 365 * 86_400
# Every other fault of the data means that there is no fresh forecast: 503.
STATUS: dict[type[DataError], int] = {UnknownInstrumentError: 404, UnknownHorizonError: 404}
PROBLEM_JSON = "application/problem+json"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {PROBLEM_JSON: {"schema": Problem.model_json_schema()}},
    }
    for status in (400, 404, 422, 503)
}


def create_app(predictor: Predictor, now_ns: Callable[[], int]) -> FastAPI:
    """Endpoint on one predictor; ``now_ns`` is its only clock."""
    app = FastAPI(
        title="margincast",
        description="Volatility and tail forecasts, and the margin that follows from them.",
        version="1",
    )
    _add_error_handlers(app)

    @app.get("/livez", tags=["health"], summary="The process answers")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"], summary="A fresh forecast exists", responses=PROBLEMS)
    def readyz() -> dict[str, str]:
        published = predictor.at(predictor.instrument, now_ns())
        return {"status": "ready", "origin": format_utc(published.origin_ns)}

    @app.get(
        "/v1/forecast/{instrument}",
        tags=["forecast"],
        summary="Newest forecast",
        responses=PROBLEMS,
    )
    def forecast(instrument: str, horizon_s: int | None = None) -> ForecastAnswer:
        return forecast_answer(predictor.at(instrument, now_ns()), predictor.model_id, horizon_s)

    @app.post("/v1/margin", tags=["margin"], summary="Margin of an account", responses=PROBLEMS)
    def margin(body: MarginRequest) -> MarginAnswer:
        return margin_answer(predictor, body, now_ns())

    return app


def forecast_answer(published: Published, model_id: str, horizon_s: int | None) -> ForecastAnswer:
    """Format one forecast; all horizons, or the one asked for."""
    law = published.forecast
    columns = range(len(law.horizons_s)) if horizon_s is None else [law.horizon_index(horizon_s)]
    names = [f"{p:g}" for p in law.levels]
    return ForecastAnswer(
        instrument=published.instrument,
        origin=format_utc(published.origin_ns),
        expires=format_utc(published.expires_ns),
        model_id=model_id,
        horizons=[
            HorizonForecast(
                horizon_s=law.horizons_s[h],
                variance=float(law.variance[0, h]),
                vol_annual=math.sqrt(float(law.variance[0, h]) * YEAR_S / law.horizons_s[h]),
                quantiles=dict(zip(names, law.quantiles[0, h].tolist(), strict=True)),
                shortfall=dict(zip(names, law.shortfall[0, h].tolist(), strict=True)),
            )
            for h in columns
        ],
    )


def margin_answer(predictor: Predictor, body: MarginRequest, now_ns: int) -> MarginAnswer:
    """Net the positions, require margin for each instrument, add up: no offset between instruments."""
    quantities = net([Position(p.instrument, p.quantity) for p in body.positions])
    published = {instrument: predictor.at(instrument, now_ns) for instrument in quantities}
    margins = [
        require(
            name,
            quantity,
            published[name].mark_price,
            published[name].rates["long" if quantity > 0 else "short"],
        )
        for name, quantity in quantities.items()
    ]
    return MarginAnswer(
        as_of=format_utc(now_ns),
        origin=format_utc(min(p.origin_ns for p in published.values())),
        model_id=predictor.model_id,
        policy_sha256=predictor.policy.hash,
        history_days=min(p.history_days for p in published.values()),
        initial_margin_usd=sum((m.initial_usd for m in margins), start=margins[0].initial_usd * 0),
        maintenance_margin_usd=sum((m.maintenance_usd for m in margins), start=margins[0].maintenance_usd * 0),
        positions=[_instrument_answer(m) for m in margins],
    )


def _instrument_answer(margin: InstrumentMargin) -> InstrumentAnswer:
    return InstrumentAnswer(
        instrument=margin.instrument,
        quantity=margin.quantity,
        mark_price=margin.mark_price,
        notional_usd=margin.notional_usd,
        initial_margin_usd=margin.initial_usd,
        initial_components_usd=dict(margin.initial),
        maintenance_margin_usd=margin.maintenance_usd,
        maintenance_components_usd=dict(margin.maintenance),
    )


def problem(status: int, title: str, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Format an error as problem JSON."""
    body = Problem(type="about:blank", title=title, status=status, detail=detail)
    return JSONResponse(body.model_dump(), status, headers, media_type=PROBLEM_JSON)


def _add_error_handlers(app: FastAPI) -> None:
    """Answer every error, also those of routing and validation, as problem JSON."""

    @app.exception_handler(DataError)
    async def data_error(_request: Request, error: DataError) -> JSONResponse:
        return problem(STATUS.get(type(error), 503), type(error).__name__, str(error))

    @app.exception_handler(RequestValidationError)
    async def validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        return problem(422, "RequestValidationError", faults)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, HTTPStatus(error.status_code).phrase, str(error.detail), error.headers)

    @app.exception_handler(Exception)
    async def unforeseen(_request: Request, error: Exception) -> JSONResponse:
        return problem(
            500,
            "InternalError",
            f"{type(error).__name__}: no margin was computed; see the server's log",
        )
