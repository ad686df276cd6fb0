"""Pictures with a line a model and a panel a horizon; few models at once, the baseline dashed."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from backtests.plots import COLOURS, GRID, INK, light
from features.clock import DAY_S

FloatArray = NDArray[np.float64]
Lines = Mapping[str, Mapping[str, FloatArray]]  # by panel, then by model
PALETTE = (*COLOURS[:4], "#c2477f", "#2a9aa8")
BASELINE_COLOUR, BAND_COLOUR = COLOURS[4], "rgba(122,135,148,.16)"


def styled(figure: go.Figure, height: int, *, below: int = 90) -> go.Figure:
    """The house's look; the legend stands in ``below`` pixels under the panels."""
    figure.update_layout(
        template="plotly_white",
        height=height,
        margin={"l": 60, "r": 16, "t": 64, "b": below},
        font={"family": "system-ui, sans-serif", "size": 12, "color": INK},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom", "x": 0},
        hovermode="closest",
    )
    figure.update_xaxes(gridcolor=GRID, zeroline=False)
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#b9c4d0")
    figure.update_annotations(font_size=13)
    return figure


def grid(titles: Sequence[str], columns: int, *, share_y: bool = True, gap: float = 0.09) -> go.Figure:
    """Empty panels, row by row."""
    rows = -(-len(titles) // columns)
    return make_subplots(
        rows, columns, subplot_titles=list(titles), shared_yaxes=share_y, horizontal_spacing=0.05,
        vertical_spacing=gap if rows > 1 else 0.0,
    )  # fmt: skip


def place(number: int, columns: int) -> dict[str, int]:
    """Row and column of a panel."""
    return {"row": number // columns + 1, "col": number % columns + 1}


def look(model: str, baseline: str | None, number: int, panel: int) -> dict[str, object]:
    """Name, colour and legend of a model's line; its name stands in the legend once."""
    own = model != baseline
    colour = PALETTE[number % len(PALETTE)] if own else BASELINE_COLOUR
    line = {"color": colour, "width": 1.8, "dash": "solid" if own else "dash"}
    return {"name": model, "legendgroup": model, "showlegend": panel == 0, "line": line, "mode": "lines"}


def line_picture(lines: Lines, x: Mapping[str, object], baseline: str | None, columns: int, height: int) -> go.Figure:
    """Lines over a common or regular axis; ``x`` holds plotly's ``x``, or ``x0`` and ``dx``."""
    figure = grid(list(lines), columns)
    for panel, by_model in enumerate(lines.values()):
        for number, (model, y) in enumerate(by_model.items()):
            figure.add_scatter(y=light(y), **x, **look(model, baseline, number, panel), **place(panel, columns))
    return styled(figure, height)


def reliability(errors_pp: Lines, levels: Sequence[float], baseline: str | None) -> go.Figure:
    """Observed less nominal share of returns below each quantile, percentage points."""
    names = [f"{100 * level:g}" for level in levels]
    figure = line_picture(errors_pp, {"x": names}, baseline, len(errors_pp), 380)
    figure.update_traces(mode="lines+markers", marker_size=4)
    figure.update_xaxes(type="category", tickangle=-90, tickfont_size=10)
    figure.update_yaxes(title="observed less nominal, points", col=1)
    return figure


def hits_over_time(
    excess: Lines, bands: Mapping[str, FloatArray], first: Mapping[str, str], baseline: str | None
) -> go.Figure:
    """Hits so far less those expected, and the band in which a right forecast is with 95 %.

    Parameters
    ----------
    excess : by panel and model, arrays of shape (days,).
    bands : half widths by panel, arrays of shape (days,).
    first : date of the first day by panel; no day is left out after it.
    baseline : the model that is dashed.
    """
    figure = grid(list(excess), 2, share_y=False, gap=0.36 / max(-(-len(excess) // 2), 2))
    for panel, (title, by_model) in enumerate(excess.items()):
        where = place(panel, 2) | {"x0": first[title], "dx": DAY_S * 1000}  # a start and a step instead of all dates
        for sign, fill in ((-1, None), (1, "tonexty")):
            band = {"y": light(sign * bands[title]), "fill": fill, "fillcolor": BAND_COLOUR, "name": "95 % by chance"}
            figure.add_scatter(
                line_width=0, mode="lines", hoverinfo="skip", showlegend=panel == 0 and sign > 0,
                **band, **where,
            )  # fmt: skip
        for number, (model, y) in enumerate(by_model.items()):
            figure.add_scatter(y=light(y), **look(model, baseline, number, panel), **where)
    figure.update_xaxes(type="date", nticks=5, tickangle=0)
    figure.update_yaxes(title="hits less expected", col=1)
    return styled(figure, 150 + 210 * (-(-len(excess) // 2)))


def murphy(
    difference: Lines, thresholds: Mapping[str, FloatArray], threshold: str, score: str, *, log_axis: bool
) -> go.Figure:
    """Mean elementary score less the baseline's at each threshold; below zero is better there."""
    figure = grid(list(difference), len(difference), share_y=False)
    for panel, (title, by_model) in enumerate(difference.items()):
        for number, (model, y) in enumerate(by_model.items()):
            where = place(panel, len(difference))
            figure.add_scatter(x=light(thresholds[title]), y=light(y), **look(model, None, number, panel), **where)
    figure.update_xaxes(title={"text": threshold, "font_size": 11}, tickangle=0, nticks=4)
    if log_axis:
        figure.update_xaxes(type="log", dtick=2, exponentformat="power")
    figure.update_yaxes(title=score, col=1)
    return styled(figure, 340, below=110)
