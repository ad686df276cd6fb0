"""Pictures of a fitted volatility surface, a function each: a fit in, a plotly figure out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from serving.margin.surface.fit import SliceFit
from serving.margin.surface.quotes import Usable
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

INK, GRID, QUOTE, FIT, OTHER = "#1b2a3a", "#e9eef3", "#8a99a8", "#1f63b5", "#d9731a"
COLUMNS, ROW_HEIGHT = 5, 235
POINTS = 161


@dataclass(frozen=True, slots=True, eq=False)
class FittedExpiry:
    """One expiry of the report: its name, what was fitted, its usable quotes and the SSVI slice to compare."""

    name: str
    fit: SliceFit
    data: Usable
    ssvi: RawSvi

    @property
    def width(self) -> float:
        """One standard deviation of the log price to expiry."""
        return math.sqrt(float(self.fit.svi.total_variance(np.array(0.0))))

    def strikes(self, spare: float = 0.06) -> FloatArray:
        """Log moneyness a little beyond the quotes."""
        low, high = float(self.data.k[0]), float(self.data.k[-1])
        return np.linspace(low - spare * (high - low), high + spare * (high - low), POINTS)


def _styled(figure: go.Figure, height: int) -> go.Figure:
    figure.update_layout(
        template="plotly_white", height=height, margin={"l": 60, "r": 24, "t": 40, "b": 48},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        hovermode="closest",
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID, zerolinecolor="#b9c4d0")
    figure.update_yaxes(gridcolor=GRID, zerolinecolor="#b9c4d0")
    return figure


def _colours(count: int) -> list[str]:
    """From the nearest expiry to the farthest."""
    return list(sample_colorscale("Viridis", list(np.linspace(0.0, 0.88, count))))


def smiles(expiries: Sequence[FittedExpiry]) -> go.Figure:
    """Each expiry's quotes as bars from bid to ask, the fit and the SSVI slice, in per cent against log moneyness."""
    rows = math.ceil(len(expiries) / COLUMNS)
    titles = [e.name for e in expiries]
    spacing = {"horizontal_spacing": 0.035, "vertical_spacing": 0.25 / max(rows, 2)}
    figure = make_subplots(rows, COLUMNS, subplot_titles=titles, **spacing)
    for i, expiry in enumerate(expiries):
        place = {"row": i // COLUMNS + 1, "col": i % COLUMNS + 1, "showlegend": i == 0}
        _add_quotes(figure, expiry, place)
        k = expiry.strikes()
        lines = (("SSVI, all expiries at once", OTHER, "dot", expiry.ssvi), ("SVI", FIT, "solid", expiry.fit.svi))
        for name, colour, dash, svi in lines:
            vol = 100 * svi.vol(k, expiry.fit.years)
            line = {"color": colour, "width": 2, "dash": dash}
            figure.add_scatter(x=k, y=vol, mode="lines", line=line, name=name, legendgroup=name, **place)
        top = 100 * float(np.nanmax(expiry.fit.svi.vol(k, expiry.fit.years)))
        figure.update_yaxes(range=[0, 1.25 * top], row=place["row"], col=place["col"])
    figure.update_annotations(font_size=13)
    figure = _styled(figure, ROW_HEIGHT * rows + 70)
    legend = {"orientation": "h", "y": 1 + 42 / (ROW_HEIGHT * rows), "yanchor": "bottom", "x": 0}
    return figure.update_layout(legend=legend, margin={"t": 80})


def _add_quotes(figure: go.Figure, expiry: FittedExpiry, place: dict[str, int]) -> None:
    """Bars of the firm quotes, crosses at the marks of the rest."""
    data, firm = expiry.data, expiry.data.firm
    bars = {"array": 100 * (data.high - data.vol)[firm], "color": QUOTE, "thickness": 1.4, "width": 2}
    figure.add_scatter(
        x=data.k[firm], y=100 * data.vol[firm], error_y=bars, mode="markers", name="bid to ask", legendgroup="firm",
        marker={"size": 3, "color": QUOTE}, **place,
    )  # fmt: skip
    cross = {"size": 5, "symbol": "x-thin", "line": {"width": 1.2, "color": "#b3bdc7"}}
    figure.add_scatter(
        x=data.k[~firm], y=100 * data.vol[~firm], mode="markers", name="mark of a quote with one side",
        legendgroup="mark", marker=cross,
        **place,
    )  # fmt: skip


def variances(expiries: Sequence[FittedExpiry]) -> go.Figure:
    """Total variance of every expiry on a logarithmic scale: lines that do not cross."""
    figure = go.Figure()
    k = np.linspace(-1.5, 1.5, 2 * POINTS)
    for expiry, colour in zip(expiries, _colours(len(expiries)), strict=True):
        w = expiry.fit.svi.total_variance(k)
        figure.add_scatter(x=k, y=w, mode="lines", line={"color": colour, "width": 1.8}, name=expiry.name)
    figure.update_yaxes(type="log", title="total variance", dtick=1)
    figure.update_xaxes(title="log(strike / forward)")
    return _styled(figure, 520)


def densities(expiries: Sequence[FittedExpiry]) -> go.Figure:
    """Gatheral's g of every expiry: nowhere below nothing."""
    figure = go.Figure()
    deviations = np.linspace(-8, 8, 2 * POINTS)
    for expiry, colour in zip(expiries, _colours(len(expiries)), strict=True):
        g = expiry.fit.svi.density_factor(deviations * expiry.width)
        line = {"color": colour, "width": 1.8}
        figure.add_scatter(x=deviations, y=g, mode="lines", line=line, name=expiry.name)
    figure.add_hline(y=0, line={"color": "#d1343c", "width": 1.4})
    figure.update_yaxes(title="g", rangemode="tozero")
    figure.update_xaxes(title="log(strike / forward), in standard deviations to expiry")
    return _styled(figure, 440)


def residuals(expiries: Sequence[FittedExpiry]) -> go.Figure:
    """How far the fit is from the middle of each firm quote, in half spreads: within ±1 it is inside bid and ask."""
    figure = go.Figure()
    for expiry, colour in zip(expiries, _colours(len(expiries)), strict=True):
        data, firm = expiry.data, expiry.data.firm
        miss = (expiry.fit.svi.vol(data.k, expiry.fit.years) - data.vol) / np.maximum((data.high - data.low) / 2, 1e-6)
        figure.add_scatter(
            x=data.k[firm] / expiry.width, y=miss[firm], mode="markers", name=expiry.name,
            marker={"color": colour, "size": 6, "line": {"width": 0.5, "color": "#ffffff"}},
        )  # fmt: skip
    for level in (-1, 1):
        figure.add_hline(y=level, line={"color": "#d1343c", "dash": "dot", "width": 1.4})
    figure.update_yaxes(title="fit less middle, in half spreads")
    figure.update_xaxes(title="log(strike / forward), in standard deviations to expiry")
    return _styled(figure, 440)
