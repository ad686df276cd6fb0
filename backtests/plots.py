"""The report's pictures, one function each: arrays in, a plotly figure out."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from features.clock import HOUR_S
from models.base import Forecast
from serving.margin.scan import PARTS
from serving.schedule import Schedule

FloatArray = NDArray[np.float64]

INK, GRID, HIT = "#1b2a3a", "#e6ebf1", "#d1343c"
COLOURS = ("#1765c1", "#e08a1e", "#4b9b6e", "#8a63b8", "#7a8794")
BANDS = (
    (0, 10, "rgba(23,101,193,.12)", "99 %"),
    (2, 8, "rgba(23,101,193,.20)", "95 %"),
    (4, 6, "rgba(23,101,193,.38)", "50 %"),
)
SIDE_COLOURS = {
    "long": (COLOURS[0], "rgba(209,52,60,.55)"),
    "short": (COLOURS[1], "rgba(224,138,30,.45)"),
}
PART_COLOURS = {
    "forecast": "#1765c1",
    "gap_hold": "#7a8794",
    "stress": "#e08a1e",
    "floor": "#8a63b8",
    "buffer": "#f0c36d",
    "limiter": "#b8c4d0",
}


def hourly(origin_ns: NDArray[np.int64]) -> dict[str, int]:
    """Time axis of consecutive origins: start and step in milliseconds, a hundredth of the bytes of stamps."""
    start_ms = int(origin_ns[0]) // 1_000_000
    return {"x0": start_ms, "dx": (int(origin_ns[1]) - int(origin_ns[0])) // 1_000_000}


def light(values: FloatArray) -> NDArray[np.float32]:
    """Half the bytes, and more digits than a screen shows."""
    return np.asarray(values, dtype=np.float32)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 64, "r": 24, "t": 44, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "y": -0.12, "x": 0},
        hovermode="x unified",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#b9c4d0")
    figure.update_annotations(font_size=14)
    return figure


def fan(forecast: Forecast, log_return: FloatArray, h: int) -> go.Figure:
    """Quantile bands of one horizon, the returns that came, and those outside 1 % to 99 % in red."""
    x, q = hourly(forecast.origin_ns), light(100 * forecast.quantiles[:, h])
    y = light(100 * log_return)
    figure = go.Figure()
    for low, high, colour, name in BANDS:
        edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", **x}
        figure.add_scatter(y=q[:, low], showlegend=False, **edge)
        figure.add_scatter(y=q[:, high], fill="tonexty", fillcolor=colour, name=f"{name} band", **edge)
    outside = (y < q[:, 1]) | (y > q[:, 9])
    hours = forecast.horizons_s[h] // HOUR_S
    for kept, size, colour, name in (
        (~outside, 2.2, "#5b6b7b", f"return over the next {hours} h"),
        (outside, 5, HIT, "outside 1 % to 99 %"),
    ):
        dots = np.where(kept, y, np.float32(np.nan))
        figure.add_scatter(y=dots, mode="markers", marker={"size": size, "color": colour}, name=name, **x)
    reach = 1.15 * float(np.nanmax(np.abs(y)))  # a band may reach further in a crash than any return did
    figure.update_yaxes(title=f"{hours} h log return, %", range=[-reach, reach])
    figure.update_xaxes(type="date")
    return _styled(figure, 430)


def _model_line(i: int, name: str, column: int) -> dict[str, object]:
    """Look and place of the i-th model's line in a row of panels; the first model stands out."""
    line = {"color": COLOURS[i], "width": 2.4 if i == 0 else 1.5}
    return {"name": name, "legendgroup": name, "showlegend": column == 1, "line": line, "row": 1, "col": column}


def cumulative_hits(
    forecasts: Mapping[str, Forecast], log_return: FloatArray, h: int, names: Mapping[str, str]
) -> go.Figure:
    """Hits so far less hits expected so far, at 1 % and at 99 %, a line a model."""
    figure = make_subplots(
        1,
        2,
        subplot_titles=["below the 1 % quantile", "above the 99 % quantile"],
        shared_yaxes=True,
    )
    known = np.isfinite(log_return)
    for i, (name, forecast) in enumerate(forecasts.items()):
        below = log_return < forecast.quantiles[:, h, 1]  # an unknown return is no hit
        above = log_return > forecast.quantiles[:, h, 9]
        for column, hits in ((1, below), (2, above)):
            figure.add_scatter(
                y=light(np.cumsum(hits - 0.01 * known)),
                **_model_line(i, names[name], column),
                **hourly(forecast.origin_ns),
            )
    figure.update_yaxes(title="hits less expected", col=1)
    figure.update_xaxes(type="date")
    return _styled(figure, 340)


def crash_margins(
    falls: Mapping[str, tuple[int, int]],
    schedule: Schedule,
    price: FloatArray,
    losses: Mapping[str, FloatArray],
    mpor_h: int,
    unit: str,
) -> go.Figure:
    """A column a fall: the price above, published margins and realised losses of one unit below, USD."""
    figure = make_subplots(
        2,
        len(falls),
        subplot_titles=list(falls),
        row_heights=[0.3, 0.7],
        vertical_spacing=0.06,
        horizontal_spacing=0.06,
        shared_xaxes=True,
    )
    for column, (start_ns, stop_ns) in enumerate(falls.values(), start=1):
        kept = np.flatnonzero((schedule.origin_ns >= start_ns) & (schedule.origin_ns <= stop_ns))
        place = {"row": 2, "col": column, **hourly(schedule.origin_ns[kept])}
        figure.add_scatter(
            y=light(price[kept]),
            line={"color": INK, "width": 1.6},
            name="price",
            showlegend=False,
            **place | {"row": 1},
        )
        for side in losses:
            _add_side(figure, schedule, side, kept, price[kept], losses[side][kept], mpor_h, place)
    figure.update_yaxes(title="price, USD", row=1, col=1)
    figure.update_yaxes(title=f"USD per {unit}", row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=2)
    figure.update_xaxes(type="date")
    return _styled(figure, 560)


def _add_side(
    figure: go.Figure,
    schedule: Schedule,
    side: str,
    kept: NDArray[np.int64],
    mark: FloatArray,
    loss: FloatArray,
    mpor_h: int,
    place: dict[str, int],
) -> None:
    """Margins and losses of one side in one column."""
    colour, loss_colour = SIDE_COLOURS[side]
    rates = schedule.sides[side]
    first = place["col"] == 1
    for rate, dash, word in (
        (rates.initial_frac, "solid", "IM"),
        (rates.maintenance_frac, "dot", "MM"),
    ):
        line = {"color": colour, "dash": dash, "width": 2}
        figure.add_scatter(y=light(rate[kept] * mark), line=line, name=f"{word} {side}", showlegend=first, **place)
    figure.add_scatter(
        y=light(np.maximum(loss * mark, 0)),
        mode="lines",
        line_width=0,
        fill="tozeroy",
        fillcolor=loss_colour,
        name=f"loss of a {side} over the next {mpor_h} h",
        showlegend=first,
        **place,
    )


def margin_parts(schedule: Schedule, side: str, loss: FloatArray) -> go.Figure:
    """What the initial margin rate is made of, stacked, and the losses that came."""
    scan = schedule.sides[side].initial
    x = hourly(schedule.origin_ns)
    figure = go.Figure()
    for part in (p for p in PARTS if getattr(scan, p).max() > 0):
        figure.add_scatter(
            y=light(100 * getattr(scan, part)),
            stackgroup="parts",
            mode="lines",
            line_width=0,
            fillcolor=PART_COLOURS[part],
            name=part,
            **x,
        )
    figure.add_scatter(
        y=light(100 * np.maximum(loss, 0)), mode="lines", line={"color": HIT, "width": 1.2}, name="realised loss", **x
    )
    figure.update_yaxes(title=f"{side}, % of notional", rangemode="tozero")
    figure.update_xaxes(type="date")
    return _styled(figure, 380)


def reliability(
    shares: Mapping[str, list[FloatArray]],
    levels: tuple[float, ...],
    horizons_s: tuple[int, ...],
    names: Mapping[str, str],
) -> go.Figure:
    """Observed less nominal share below each quantile, a panel a horizon, a line a model."""
    titles = [f"{h // HOUR_S} h" for h in horizons_s]
    figure = make_subplots(1, len(horizons_s), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    x = [f"{100 * p:g}" for p in levels]
    for i, (name, by_horizon) in enumerate(shares.items()):
        for column, share in enumerate(by_horizon, start=1):
            figure.add_scatter(
                x=x,
                y=100 * (share - np.array(levels)),
                **_model_line(i, names[name], column),
            )
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(title="observed less nominal, points", col=1)
    figure = _styled(figure, 360)
    figure.update_layout(legend_y=-0.3)
    return figure
