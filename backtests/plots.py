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
BANDS = ((0, 10, "rgba(23,101,193,.12)", "99 %"), (2, 8, "rgba(23,101,193,.20)", "95 %"),
         (4, 6, "rgba(23,101,193,.38)", "50 %"))  # fmt: skip
PART_COLOURS = {"forecast": "#1765c1", "stress": "#e08a1e", "floor": "#8a63b8", "buffer": "#f0c36d", "limiter": "#b8c4d0"}


def times(ts_ns: NDArray[np.int64]) -> NDArray[np.datetime64]:
    """Instants as plotly wants them."""
    return ts_ns.astype("datetime64[ns]")


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
    x, q = times(forecast.origin_ns), 100 * forecast.quantiles[:, h]
    y = 100 * log_return
    figure = go.Figure()
    for low, high, colour, name in BANDS:
        figure.add_scatter(x=x, y=q[:, low], mode="lines", line_width=0, showlegend=False, hoverinfo="skip")
        figure.add_scatter(
            x=x, y=q[:, high], mode="lines", line_width=0, fill="tonexty", fillcolor=colour, name=f"{name} band",
            hoverinfo="skip",
        )  # fmt: skip
    outside = (y < q[:, 1]) | (y > q[:, 9])
    hours = forecast.horizons_s[h] // HOUR_S
    figure.add_scatter(
        x=x[~outside], y=y[~outside], mode="markers", marker={"size": 2.2, "color": "#5b6b7b"},
        name=f"return over the next {hours} h",
    )  # fmt: skip
    figure.add_scatter(
        x=x[outside], y=y[outside], mode="markers", marker={"size": 5, "color": HIT}, name="outside 1 % to 99 %"
    )
    figure.update_yaxes(title=f"{hours} h log return, %")
    figure.update_xaxes(rangeslider_visible=False)
    return _styled(figure, 430)


def cumulative_hits(
    forecasts: Mapping[str, Forecast], log_return: FloatArray, h: int, names: Mapping[str, str]
) -> go.Figure:
    """Hits so far less hits expected so far, at 1 % and at 99 %, a line a model."""
    figure = make_subplots(1, 2, subplot_titles=["below the 1 % quantile", "above the 99 % quantile"], shared_yaxes=True)
    known = np.isfinite(log_return)
    for i, (name, forecast) in enumerate(forecasts.items()):
        x = times(forecast.origin_ns[known])
        below = log_return[known] < forecast.quantiles[known, h, 1]
        above = log_return[known] > forecast.quantiles[known, h, 9]
        for column, hits in ((1, below), (2, above)):
            surplus = np.cumsum(hits - 0.01)
            figure.add_scatter(
                x=x, y=surplus, name=names[name], legendgroup=name, showlegend=column == 1,
                line={"color": COLOURS[i], "width": 2.4 if i == 0 else 1.5}, row=1, col=column,
            )  # fmt: skip
    figure.update_yaxes(title="hits less expected", col=1)
    return _styled(figure, 340)


def crash_margins(
    falls: Mapping[str, tuple[int, int]],
    schedule: Schedule,
    price: FloatArray,
    losses: Mapping[str, FloatArray],
    mpor_h: int,
) -> go.Figure:
    """A column a fall: the price above, published margins and realised losses of one unit below, USD."""
    figure = make_subplots(
        2, len(falls), subplot_titles=list(falls), row_heights=[0.3, 0.7], vertical_spacing=0.06,
        horizontal_spacing=0.06, shared_xaxes=True,
    )  # fmt: skip
    for column, (start_ns, stop_ns) in enumerate(falls.values(), start=1):
        kept = (schedule.origin_ns >= start_ns) & (schedule.origin_ns <= stop_ns)
        x, mark = times(schedule.origin_ns[kept]), price[kept]
        first = column == 1
        figure.add_scatter(x=x, y=mark, line={"color": INK, "width": 1.6}, name="price", showlegend=False, row=1, col=column)
        for side, colour, loss_colour in (("long", COLOURS[0], "rgba(209,52,60,.55)"), ("short", COLOURS[1], "rgba(224,138,30,.45)")):
            rates = schedule.sides[side]
            for rate, dash, word in ((rates.initial_frac, "solid", "IM"), (rates.maintenance_frac, "dot", "MM")):
                figure.add_scatter(
                    x=x, y=rate[kept] * mark, line={"color": colour, "dash": dash, "width": 2}, name=f"{word} {side}",
                    showlegend=first, row=2, col=column,
                )  # fmt: skip
            figure.add_scatter(
                x=x, y=np.maximum(losses[side][kept] * mark, 0), mode="lines", line_width=0, fill="tozeroy",
                fillcolor=loss_colour, name=f"loss of a {side} over the next {mpor_h} h", showlegend=first, row=2, col=column,
            )  # fmt: skip
    figure.update_yaxes(title="price, USD", row=1, col=1)
    figure.update_yaxes(title="USD per 1 BTC", row=2, col=1)
    figure.update_yaxes(rangemode="tozero", row=2)
    return _styled(figure, 560)


def margin_parts(schedule: Schedule, side: str, loss: FloatArray) -> go.Figure:
    """What the initial margin rate is made of, stacked, and the losses that came."""
    scan = schedule.sides[side].initial
    x = times(schedule.origin_ns)
    figure = go.Figure()
    for part in PARTS:
        figure.add_scatter(
            x=x, y=100 * getattr(scan, part), stackgroup="parts", mode="lines", line_width=0,
            fillcolor=PART_COLOURS[part], name=part,
        )  # fmt: skip
    figure.add_scatter(
        x=x, y=100 * np.maximum(loss, 0), mode="lines", line={"color": HIT, "width": 1}, name="realised loss"
    )
    figure.update_yaxes(title=f"{side}, % of notional", rangemode="tozero")
    return _styled(figure, 380)


def reliability(
    shares: Mapping[str, list[FloatArray]], levels: tuple[float, ...], horizons_s: tuple[int, ...], names: Mapping[str, str]
) -> go.Figure:
    """Observed less nominal share below each quantile, a panel a horizon, a line a model."""
    titles = [f"{h // HOUR_S} h" for h in horizons_s]
    figure = make_subplots(1, len(horizons_s), subplot_titles=titles, shared_yaxes=True, horizontal_spacing=0.03)
    x = [f"{100 * p:g}" for p in levels]
    for i, (name, by_horizon) in enumerate(shares.items()):
        for column, share in enumerate(by_horizon, start=1):
            figure.add_scatter(
                x=x, y=100 * (share - np.array(levels)), name=names[name], legendgroup=name, showlegend=column == 1,
                line={"color": COLOURS[i], "width": 2.4 if i == 0 else 1.5}, row=1, col=column,
            )  # fmt: skip
    figure.update_xaxes(type="category", tickangle=-60)
    figure.update_yaxes(title="observed less nominal, points", col=1)
    figure = _styled(figure, 360)
    figure.update_layout(legend_y=-0.3)
    return figure
