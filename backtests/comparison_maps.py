"""Pictures with a row a model: skill with its interval, coverage under conditions, cost."""

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from backtests.comparison_lines import place, styled
from backtests.plots import COLOURS, HIT, light

FloatArray = NDArray[np.float64]
ROW_PX, EDGE_PX = 19, 120
GOOD, BAD, OPEN = COLOURS[0], HIT, COLOURS[4]
TOO_FEW_TO_TOO_MANY = ((0.0, "#08519c"), (0.5, "#ffffff"), (1.0, "#b2182b"))
COST_COLOURS = {"fit": COLOURS[0], "forecast": COLOURS[1], "calibrate": COLOURS[2]}
DOUBLINGS = 1.5  # of the rate, where colours end
MOST_LABELS = 18  # that stand side by side under a panel
REACH = 4  # spreads between the best and the middle model that a panel shows below the middle


def dots(intervals: Mapping[str, FloatArray], models: Sequence[str], title: str, *, more_is_better: bool) -> go.Figure:
    """Figures and their 95 % intervals, a panel a horizon, a row a model.

    Blue: better than the baseline beyond chance; red: worse; grey: open. What lies far out is drawn at the edge as a
    triangle, so that it does not squeeze the rest.

    Parameters
    ----------
    intervals : by panel, arrays of shape (models, 3): figure, low, high.
    models : names, the best first.
    title : of the axis.
    more_is_better : the sign of a gain.
    """
    figure = _rows(list(intervals))
    for panel, values in enumerate(intervals.values()):
        gain = values if more_is_better else -values[:, [0, 2, 1]]
        edge = _edge(gain)
        shown = gain[:, 0] >= edge
        at = np.where(shown, gain[:, 0], edge) * (1 if more_is_better else -1)
        reach = {"array": gain[:, 2] - gain[:, 0], "arrayminus": gain[:, 0] - np.maximum(gain[:, 1], edge)}
        if not more_is_better:
            reach = {"array": reach["arrayminus"], "arrayminus": reach["array"]}
        colours = np.where(gain[:, 1] > 0, GOOD, np.where(gain[:, 2] < 0, BAD, OPEN))
        outward = "triangle-left" if more_is_better else "triangle-right"
        for kept, symbol in ((shown, "circle"), (gain[:, 0] < edge, outward)):  # neither: not known
            for colour in np.unique(colours[kept]):
                rows = kept & (colours == colour)
                ends = {name: light(np.where(rows, width, np.nan)[rows]) for name, width in reach.items()}
                figure.add_scatter(
                    x=light(at[rows]), y=list(compress(models, rows)), mode="markers",
                    marker={"color": colour, "size": 7, "symbol": symbol}, showlegend=False,
                    error_x={"type": "data", "symmetric": False, "visible": symbol == "circle", "thickness": 1.4,
                             "width": 0, "color": colour, **ends},
                    customdata=values[rows], name="",
                    hovertemplate="%{y}: %{customdata[0]:.4g} (%{customdata[1]:.4g} … %{customdata[2]:.4g})",
                    **place(panel, len(intervals)),
                )  # fmt: skip
        figure.add_vline(x=0, line={"color": "#8a97a5", "width": 1}, **place(panel, len(intervals)))
    return _by_model(figure, models, title)


def _edge(gain: FloatArray) -> float:
    """The least gain that a panel shows."""
    known = gain[np.isfinite(gain).all(axis=1)]
    if not len(known):
        return 0.0
    best, middle = float(known[:, 2].max()), float(np.median(known[:, 0]))
    return float(max(known[:, 1].min(), min(middle, 0.0) - REACH * max(best - middle, 1e-12)))


def _rows(titles: Sequence[str], widths: Sequence[int] | None = None) -> go.Figure:
    return make_subplots(
        1, len(titles), subplot_titles=list(titles), shared_yaxes=True, horizontal_spacing=0.02, column_widths=widths
    )


def _by_model(figure: go.Figure, models: Sequence[str], title: str, *, below: int = 60) -> go.Figure:
    """A row for each model, the first on top."""
    figure = styled(figure, EDGE_PX + ROW_PX * len(models), below=below)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(reversed(models)), range=[-0.7, len(models) - 0.3],
        automargin=True, ticks="", tickfont_size=11, dtick=1,
    )  # fmt: skip
    figure.update_xaxes(title={"text": title, "font_size": 11}, nticks=4, tickangle=0)
    return figure


def coverage_map(panels: Mapping[str, tuple[Sequence[str], FloatArray]], rows: Sequence[str]) -> go.Figure:
    """Hits by condition as multiples of those expected: white is right, red too many, blue too few.

    Parameters
    ----------
    panels : by title, names of the columns and an array of shape (rows, columns); NaN where there were no windows.
    rows : names, the first on top.
    """
    figure = _rows(list(panels), [max(len(columns), 3) for columns, _ in panels.values()])
    for panel, (columns, ratio) in enumerate(panels.values()):
        with np.errstate(divide="ignore"):
            colour = np.clip(np.log2(ratio), -DOUBLINGS, DOUBLINGS)
        figure.add_heatmap(
            z=light(colour), x=list(columns), y=list(rows), customdata=light(ratio), coloraxis="coloraxis",
            hovertemplate="%{y}, %{x}: %{customdata:.2f} times the nominal rate<extra></extra>",
            xgap=1 if len(columns) <= MOST_LABELS else 0, ygap=1, **place(panel, len(panels)),
        )  # fmt: skip
    figure = _by_model(figure, rows, "", below=120)
    ticks = [0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8]
    bar = {
        "orientation": "h", "thickness": 10, "len": 0.6, "yref": "container", "y": 0.01, "yanchor": "bottom",
        "tickvals": np.log2(ticks).tolist(), "ticktext": [f"{t:g}" for t in ticks],
        "title": {"text": "observed / nominal rate<br>&nbsp;", "side": "top", "font": {"size": 11}},
    }  # fmt: skip
    scale = {"colorscale": TOO_FEW_TO_TOO_MANY, "cmin": -DOUBLINGS, "cmax": DOUBLINGS, "colorbar": bar}
    figure.update_layout(coloraxis=scale, height=EDGE_PX + 130 + ROW_PX * max(len(rows), 5))
    figure.update_xaxes(type="category", tickangle=-90, tickfont_size=9, showgrid=False)
    for panel, (columns, _) in enumerate(panels.values()):
        figure.update_xaxes(dtick=1 if len(columns) <= MOST_LABELS else 3, **place(panel, len(panels)))
    return figure


def cost_picture(costs: Mapping[str, Mapping[str, float]]) -> go.Figure:
    """Seconds of each model on a log scale, the cheapest on top; steps that cost nothing have no bar."""
    models = sorted(costs, key=lambda model: sum(costs[model].values()))
    figure = go.Figure()
    for step, colour in reversed(COST_COLOURS.items()):
        seconds = np.array([costs[model][f"{step}_s"] for model in models])
        figure.add_bar(
            x=light(np.where(seconds > 0, seconds, np.nan)), y=models, orientation="h", name=step,
            marker_color=colour, hovertemplate="%{y}, " + step + ": %{x:.3g} s<extra></extra>",
        )  # fmt: skip
    figure = _by_model(figure, models, "seconds, all folds and instruments", below=100)
    figure.update_layout(barmode="group", bargap=0.25, height=EDGE_PX + 30 * len(models), legend_traceorder="reversed")
    figure.update_xaxes(type="log", dtick=1)
    return figure
