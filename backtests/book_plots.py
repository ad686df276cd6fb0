"""Pictures of one session, a function each: arrays in, a plotly figure out."""

from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from backtests.book_plan import Depth, FloatArray
from backtests.book_tables import BASIS_POINTS, span
from backtests.plots import BANDS, COLOURS, GRID, HIT, INK, light
from models.base import Forecast
from serving.schedule import Schedule

BOUGHT, SOLD = "#2e8b57", "#d1343c"
RESTING = (  # asks below the middle of the scale, bids above it, the larger the darker
    (0.0, "#7a2e00"), (0.15, "#d9731a"), (0.35, "#f7cf9f"), (0.5, "#ffffff"),
    (0.65, "#a9c8ec"), (0.85, "#1f63b5"), (1.0, "#08264f"),
)  # fmt: skip
DECADES = (0.01, 0.1, 1.0, 10.0, 100.0)
FLOW_STEP_S = 10


def at(ts_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    """Stamps as a date axis wants them: milliseconds."""
    return np.asarray(ts_ns) / 1e6


def styled(figure: go.Figure, height: int, legend_y: float) -> go.Figure:
    """The house's look, on a date axis."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 64, "r": 24, "t": 40, "b": 40},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        legend={"orientation": "h", "y": legend_y, "x": 0},
        hovermode="x unified",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False, type="date")
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#b9c4d0")
    figure.update_annotations(font_size=14)
    return figure


def book_picture(
    depth: Depth,
    trades: pl.DataFrame,
    origin_ns: NDArray[np.int64],
    spread_bp: FloatArray,
    flow: FloatArray,
    test_from_ns: int,
) -> go.Figure:
    """Resting size by price and time with the mid and the trades; below it spread, order-flow imbalance, volume.

    Parameters
    ----------
    depth : books at regular instants.
    trades : ``ts_ns``, ``side``, ``price``, ``size``.
    origin_ns, spread_bp, flow : arrays of shape (n,), origins and two features at them.
    test_from_ns : where the test part begins.
    """
    titles = ["size resting in the book", "spread, bp", "order-flow imbalance", "volume bought and sold"]
    figure = make_subplots(4, 1, shared_xaxes=True, row_heights=[0.55, 0.13, 0.16, 0.16], vertical_spacing=0.045)
    _add_depth(figure, depth)
    _add_trades(figure, trades)
    line = {"mode": "lines", "showlegend": False, "x": at(origin_ns)}
    figure.add_scatter(
        y=light(spread_bp), line={"color": COLOURS[0], "width": 1.5}, name=titles[1], row=2, col=1, **line
    )
    figure.add_scatter(
        y=light(flow), line={"color": COLOURS[3], "width": 1.2}, fill="tozeroy", name=titles[2], row=3, col=1, **line
    )
    _add_volume(figure, trades)
    for row, title in enumerate(("price, USD", "spread, bp", "OFI, depths", "volume, BTC"), start=1):
        figure.update_yaxes(title=title, row=row, col=1)
    figure.update_yaxes(tickformat=",.0f", row=1, col=1)
    figure.add_vline(x=test_from_ns / 1e6, line={"color": INK, "dash": "dot", "width": 1.2})
    figure.add_annotation(
        x=test_from_ns / 1e6, y=1.0, yref="paper", yanchor="bottom", xanchor="left", text="test →", showarrow=False
    )
    return styled(figure, 860, -0.05)


def _add_depth(figure: go.Figure, depth: Depth) -> None:
    """The heatmap, bids and asks in colours of their own by the logarithm of size, and the mid on it."""
    price = (depth.edges[:-1] + depth.edges[1:]) / 2
    sizes = np.where(depth.resting > 0, depth.resting, np.nan)
    low, high = np.log10(np.nanquantile(sizes, (0.1, 0.995)))
    shade = np.clip((np.log10(sizes) - low) / (high - low), 0.0, 1.0)
    decades = [d for d in DECADES if low < np.log10(d) <= high]
    ticks = (np.log10(decades) - low) / (high - low)
    figure.add_heatmap(
        x=at(depth.ts_ns),
        y=light(price),
        z=light(np.where(price < depth.mid[:, None], shade, -shade).T),
        zmin=-1,
        zmax=1,
        colorscale=[list(stop) for stop in RESTING],
        colorbar={
            "title": "BTC", "tickvals": [*-ticks, *ticks], "ticktext": [*(f"{d:g}" for d in decades)] * 2,
            "len": 0.5, "y": 1.0, "yanchor": "top", "thickness": 12, "x": 1.01,
        },
        hoverinfo="skip",
        row=1,
        col=1,
    )  # fmt: skip
    line = {"color": INK, "width": 1.4}
    figure.add_scatter(x=at(depth.ts_ns), y=depth.mid, mode="lines", line=line, name="mid", row=1, col=1)


def _add_trades(figure: go.Figure, trades: pl.DataFrame) -> None:
    """Trades at their prices, the larger the wider."""
    for side, colour, name, symbol in ((1, BOUGHT, "bought", "triangle-up"), (-1, SOLD, "sold", "triangle-down")):
        own = trades.filter(pl.col("side") == side)
        width = np.clip(6 + 2.5 * np.log10(np.maximum(own["size"].to_numpy(), 1e-3) / 1e-2), 5, 14)
        marker = {"color": colour, "size": light(width), "symbol": symbol, "line": {"color": "#ffffff", "width": 0.6}}
        figure.add_scatter(
            x=at(own["ts_ns"].to_numpy()), y=own["price"].to_numpy(), mode="markers", marker=marker, name=name,
            row=1, col=1,
        )  # fmt: skip


def _add_volume(figure: go.Figure, trades: pl.DataFrame) -> None:
    """Volume bought upwards and sold downwards, in bars of ten seconds."""
    step_ns = FLOW_STEP_S * 1_000_000_000
    for side, colour, name in ((1, BOUGHT, "bought"), (-1, SOLD, "sold")):
        own = trades.filter(pl.col("side") == side)
        slot, which = np.unique(own["ts_ns"].to_numpy() // step_ns, return_inverse=True)
        volume = np.zeros(len(slot))
        np.add.at(volume, which, own["size"].to_numpy())
        figure.add_bar(
            x=at(slot * step_ns + step_ns // 2), y=light(side * volume), marker={"color": colour, "line_width": 0},
            width=0.9e3 * FLOW_STEP_S, name=name, showlegend=False, row=4, col=1,
        )  # fmt: skip
    figure.update_layout(barmode="relative")


def fans(forecast: Forecast, mid: FloatArray, came: FloatArray) -> go.Figure:
    """Bands of the price one horizon after each origin, a row a horizon, and the price that came.

    Parameters
    ----------
    forecast : from n origins.
    mid : array of shape (n,), the mid at each origin.
    came : array of shape (n, h), the mid one horizon later, NaN where not known.
    """
    horizons_s = forecast.horizons_s
    titles = [f"mid, and what was forecast of it {span(h)} before" for h in horizons_s]
    figure = make_subplots(len(horizons_s), 1, shared_xaxes=True, subplot_titles=titles, vertical_spacing=0.08)
    for h, horizon_s in enumerate(horizons_s):
        place = {"row": h + 1, "col": 1, "x": at(forecast.origin_ns + horizon_s * 1_000_000_000)}
        prices = mid[:, None] * np.exp(forecast.quantiles[:, h])
        for low, high, colour, name in BANDS:
            edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", **place}
            figure.add_scatter(y=prices[:, low], showlegend=False, **edge)
            figure.add_scatter(
                y=prices[:, high], fill="tonexty", fillcolor=colour, name=f"{name} band", showlegend=h == 0, **edge
            )
        outside = (came[:, h] < prices[:, 1]) | (came[:, h] > prices[:, 9])
        line = {"color": INK, "width": 1.5}
        figure.add_scatter(y=came[:, h], mode="lines", line=line, name="mid that came", showlegend=h == 0, **place)
        dots = {"mode": "markers", "marker": {"color": HIT, "size": 6}, "name": "outside 1 % to 99 %"}
        figure.add_scatter(y=np.where(outside, came[:, h], np.nan), showlegend=h == 0, **dots, **place)
    figure.update_yaxes(title="USD", tickformat=",.0f")
    return styled(figure, 300 * len(horizons_s) + 40, -0.08)


def margins_and_losses(schedule: Schedule, losses: Mapping[str, FloatArray], mpor_s: int) -> go.Figure:
    """Initial and maintenance margin of each side, a row a side, above the losses that came, basis points."""
    figure = make_subplots(len(losses), 1, shared_xaxes=True, subplot_titles=list(losses), vertical_spacing=0.08)
    for row, (side, loss) in enumerate(losses.items(), start=1):
        rates, first = schedule.sides[side], row == 1
        place = {"row": row, "col": 1, "x": at(schedule.origin_ns), "showlegend": first}
        figure.add_scatter(
            y=light(BASIS_POINTS * np.maximum(loss, 0)), mode="lines", line_width=0, fill="tozeroy",
            fillcolor="rgba(209,52,60,.5)", name=f"loss over the next {span(mpor_s)}", **place,
        )  # fmt: skip
        for rate, dash, word in (
            (rates.initial_frac, "solid", "initial"),
            (rates.maintenance_frac, "dot", "maintenance"),
        ):
            line = {"color": COLOURS[0], "dash": dash, "width": 2}
            figure.add_scatter(y=light(BASIS_POINTS * rate), mode="lines", line=line, name=f"{word} margin", **place)
        figure.update_yaxes(title="bp of notional", rangemode="tozero", row=row, col=1)
    return styled(figure, 520, -0.09)
