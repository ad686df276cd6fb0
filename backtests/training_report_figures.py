"""Pictures of a training run: losses by epoch, skills over each classical model, importances."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from backtests.comparison_lines import grid, look, place, styled
from backtests.comparison_maps import dots
from backtests.comparison_view import figure, hours
from backtests.plots import COLOURS, light

FloatArray = NDArray[np.float64]
History = Sequence[Mapping[str, float]]
Skills = Mapping[int, Mapping[str, Mapping[str, Any]]]
ROW_PX, WHITE_TO_BLUE = 20, ((0.0, "#ffffff"), (1.0, COLOURS[0]))


def loss_curves(histories: Sequence[History], seeds: Sequence[int]) -> go.Figure:
    """A panel a figure of the history, a line a network, over epochs from 1 on."""
    names = list(dict.fromkeys(name for history in histories for epoch in history for name in epoch))
    picture = grid([name.replace("_", " ") for name in names], len(names), share_y=False)
    for panel, name in enumerate(names):
        for number, (seed, history) in enumerate(zip(seeds, histories, strict=True)):
            y = np.array([epoch.get(name, np.nan) for epoch in history])
            line = look(f"seed {seed}", None, number, panel) | {"mode": "lines+markers", "marker_size": 5}
            picture.add_scatter(x=list(range(1, len(y) + 1)), y=light(y), **line, **place(panel, len(names)))
    longest = max(map(len, histories))
    picture.update_xaxes(title={"text": "epoch", "font_size": 11}, range=[0.5, longest + 0.5], dtick=-(-longest // 12))
    return styled(picture, 340, below=100)


def skill_dots(skills: Skills, models: Sequence[str]) -> go.Figure:
    """Skill in QLIKE over each model with its interval, percent, a panel a horizon."""
    ends = ("skill", "low", "high")
    intervals = {
        hours(h): 100 * np.array([[figure(by.get(m, {}), "detail", "vs", "qlike", e) for e in ends] for m in models])
        for h, by in skills.items()
    }
    return dots(intervals, models, "skill in QLIKE, %", more_is_better=True)


def importance_map(names: Sequence[str], horizons_s: Sequence[int], values: FloatArray) -> go.Figure:
    """Weights as colours: a row an input, a column a horizon; the largest is 1, below zero counts as nothing.

    Parameters
    ----------
    names : of n inputs, the first on top.
    horizons_s : of h columns.
    values : array of shape (n, h).
    """
    share = np.maximum(values, 0.0) / max(float(values.max()), 1e-300)
    picture = go.Figure()
    picture.add_heatmap(
        z=light(np.log10(np.maximum(share, 1e-2))), x=[hours(h) for h in horizons_s], y=list(names), zmin=-2, zmax=0,
        colorscale=WHITE_TO_BLUE, customdata=light(values), xgap=1, ygap=1, showscale=False,
        hovertemplate="%{y}, %{x}: %{customdata:.3g}<extra></extra>",
    )  # fmt: skip
    picture = styled(picture, 136 + ROW_PX * len(names), below=40)
    picture.update_layout(margin_t=46)
    picture.update_xaxes(type="category", showgrid=False)
    picture.update_yaxes(
        type="category", categoryorder="array", categoryarray=list(reversed(names)), automargin=True, dtick=1
    )
    return picture
