"""Draw the pictures of docs/features.md from the packaged sample and a synthetic market: ``python docs/gallery.py``."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from features.clock import DAY_S, HOUR_S, NS_PER_S, parse_utc
from features.measures.kernel import realised_kernel
from features.measures.variance import realised_variance, subsampled_variance
from features.panel import Panel
from features.pipeline import compute_panel, compute_panels
from features.sources import sample
from features.sources.synthetic import Latent, MarketSpec, draw_events, simulate, to_bars
from features.spec import FeatureSpec

IMAGES = Path(__file__).parent / "images"
ACCENT, INK, GREY, LIGHT = "#c8372d", "#2b2f36", "#868d96", "#c4c9cf"
START_NS, SEED = parse_utc("2024-01-01"), 7
HOURS_A_YEAR = 365 * 24
STYLE = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": GREY,
    "axes.labelcolor": INK, "xtick.color": GREY, "ytick.color": GREY, "text.color": INK, "axes.titlesize": 9.5,
    "axes.titlelocation": "left", "axes.titlepad": 8, "lines.linewidth": 1.1, "figure.dpi": 110,
    "savefig.bbox": "tight",
}  # fmt: skip


def label(axes: Axes, y: float, text: str, colour: str) -> None:
    """Write the name of a line beside its end, at the right edge."""
    axes.annotate(text, (1.01, y), xycoords=("axes fraction", "data"), color=colour, fontsize=8.5, va="center")


def dated(axes: Axes, x: np.ndarray, days: int) -> None:
    """Let the time axis speak in few words."""
    axes.set_xlim(x[0], x[-1])
    axes.xaxis.set_major_locator(mdates.DayLocator(interval=days))
    axes.xaxis.set_major_formatter(mdates.DateFormatter("%-d %b"))


def ticks(axis: Axis, *values: float) -> None:
    """Plain numbers on a logarithmic axis."""
    axis.set_ticks(values, labels=[f"{value:g}" for value in values])
    axis.set_minor_locator(NullLocator())


def times(ts_ns: np.ndarray) -> np.ndarray:
    """Instants as matplotlib counts them."""
    return mdates.date2num(ts_ns.astype("datetime64[ns]"))


def annual_percent(log_variance_per_hour: np.ndarray) -> np.ndarray:
    """Volatility a year in percent from the log of an hourly variance."""
    return 100 * np.sqrt(np.exp(log_variance_per_hour) * HOURS_A_YEAR)


@cache
def crash() -> Panel:
    """The sample around March 2020."""
    names = ("log_rv_24h", "log_bv_24h", "jump_z_24h", *RANGES)
    bars = sample.read()
    bars = bars[bars["ts_ns"] < parse_utc("2020-04-20")]
    return compute_panel(bars, "BTCUSDT", FeatureSpec(features=names))


def between(panel: Panel, first: str, stop: str) -> slice:
    """Rows from one day to another."""
    return slice(panel.first_row_from(parse_utc(first)), panel.first_row_from(parse_utc(stop)))


def jumps() -> Figure:
    """Realised against bipower variance, and the jump statistic."""
    panel = crash()
    rows = between(panel, "2020-03-01", "2020-04-08")
    x = times(panel.origin_ns[rows])
    rv, bv = (annual_percent(panel.column(name)[rows]) for name in ("log_rv_24h", "log_bv_24h"))
    z = panel.column("jump_z_24h")[rows]
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 4.6), sharex=True, height_ratios=(2, 1))
    top.fill_between(x, bv, rv, color=ACCENT, alpha=0.18, lw=0)
    top.plot(x, rv, color=ACCENT)
    top.plot(x, bv, color=INK)
    top.set(yscale="log", title="BTCUSDT 2020: volatility of the last 24 hours of 15-minute bars, % a year")
    ticks(top.yaxis, 50, 100, 200, 400, 800)
    label(top, rv[-1] * 1.12, "realised", ACCENT)
    label(top, bv[-1] / 1.15, "bipower", INK)
    bottom.axhline(ONE_IN_A_THOUSAND, color=LIGHT, lw=1)
    bottom.plot(x, z, color=INK, lw=0.9)
    bottom.fill_between(x, ONE_IN_A_THOUSAND, z, where=z > ONE_IN_A_THOUSAND, color=ACCENT, alpha=0.5, lw=0)
    bottom.set_title("jump_z_24h, standard errors")
    label(bottom, ONE_IN_A_THOUSAND, "0.1 %", GREY)
    dated(bottom, x, 5)
    figure.tight_layout()
    return figure


def ranges() -> Figure:
    """Range estimators against realised variance."""
    panel = crash()
    rows = between(panel, "2020-02-05", "2020-04-08")
    rv = panel.column("log_rv_24h")[rows]
    figure, places = plt.subplots(1, 3, figsize=(8, 3.1), sharex=True, sharey=True)
    for axes, name in zip(places, RANGES, strict=True):
        other = panel.column(name)[rows]
        kept = np.isfinite(rv) & np.isfinite(other)
        axes.plot([20, 900], [20, 900], color=LIGHT, lw=1)
        axes.plot(annual_percent(rv[kept]), annual_percent(other[kept]), ".", color=INK, ms=2, alpha=0.35)
        axes.set(title=name, xscale="log", yscale="log", xlim=(20, 900), ylim=(20, 900), aspect="equal")
        axes.set_xlabel("log_rv_24h, % a year")
        ticks(axes.xaxis, 25, 100, 400)
        ticks(axes.yaxis, 25, 100, 400)
        ratio = float(np.median(np.exp(0.5 * (other[kept] - rv[kept]))))
        axes.text(24, 620, f"median ratio {ratio:.2f}", color=ACCENT, fontsize=8.5)
    places[0].set_ylabel("volatility, % a year")
    figure.tight_layout()
    return figure


def outcomes() -> Figure:
    """What came after each origin: the return between its excursions."""
    panel = crash()
    rows = between(panel, "2020-03-06", "2020-03-20")
    h = panel.horizon_index(DAY_S)
    x, targets = times(panel.origin_ns[rows]), panel.targets
    down, up, came = (100 * a[rows, h] for a in (-targets.excursion_down, targets.excursion_up, targets.log_return))
    figure, axes = plt.subplots(figsize=(8, 3.4))
    axes.fill_between(x, down, up, color=LIGHT, alpha=0.55, lw=0)
    axes.axhline(0, color=GREY, lw=0.6)
    for values, name, colour in ((down, "excursion down", ACCENT), (up, "excursion up", GREY), (came, "return", INK)):
        axes.plot(x, values, color=colour)
        label(axes, values[-1], name, colour)
    axes.set_title("BTCUSDT 2020: what the 24 hours after each origin brought, log %")
    dated(axes, x, 2)
    figure.tight_layout()
    return figure


@cache
def session() -> tuple[Latent, dict[str, pl.DataFrame]]:
    """Hours of a synthetic market: prices every 0.1 s, the events of its first instrument."""
    path = simulate(MarketSpec().first(1), START_NS, float(HOURS * HOUR_S), 0.1, np.random.default_rng(SEED))
    drawn = draw_events(path, "BTC-SYN", np.random.default_rng(SEED))
    return path, {"book_deltas": drawn.book_deltas, "trades": drawn.trades}


def book() -> Figure:
    """Price, spread, depth, imbalance and order flow of an hour."""
    path, tables = session()
    hour = pl.col("ts_ns") < START_NS + HOUR_S * NS_PER_S
    frames = {"BTC-SYN": {kind: [frame.filter(hour)] for kind, frame in tables.items()}}
    panel = compute_panels(frames, ("BTC-SYN",), FeatureSpec(1, (60,), tuple(SHOWN), 1, "mid"))["BTC-SYN"]
    minutes = (panel.origin_ns - START_NS) / (60 * NS_PER_S)
    log_price = path.log_price[0, np.searchsorted(path.ts_ns, panel.origin_ns)]
    figure, places = plt.subplots(5, 1, figsize=(8, 7), sharex=True, height_ratios=(1.6, 1, 1, 1, 1))
    places[0].plot(minutes, np.exp(log_price), color=INK)
    places[0].set_title("BTC-SYN, efficient price")
    for axes, (name, (title, shape)) in zip(places[1:], SHOWN.items(), strict=True):
        axes.plot(minutes, shape(panel.column(name)), color=ACCENT if name == "ofi_5_60s" else INK, lw=0.9)
        axes.set_title(f"{name}: {title}")
        if shape is np.asarray:
            axes.axhline(0, color=GREY, lw=0.6)
    told = float(np.corrcoef(log_price[60:] - log_price[:-60], panel.column("ofi_5_60s")[60:])[0, 1])
    places[-1].set_title(f"correlation with the same minute's return {told:.2f}", loc="right", color=ACCENT)
    places[-1].set(xlim=(0, 60), xlabel="minutes")
    figure.tight_layout(h_pad=0.4)
    return figure


def signature() -> Figure:
    """Realised variance, subsampled and kernel, of trades by the sampling step, over the truth."""
    path, tables = session()
    ts_ns, log_price = tables["trades"]["ts_ns"].to_numpy(), np.log(tables["trades"]["price"].to_numpy())
    true = float(realised_variance(np.diff(path.log_price[0])))
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.axhline(1, color=LIGHT, lw=4)
    for name, (measure, colour) in MEASURED.items():
        ratios = []
        for step_s in STEPS_S:
            grid_ns = START_NS + np.arange(0, HOURS * HOUR_S + 1, step_s) * NS_PER_S
            last = np.searchsorted(ts_ns, grid_ns, side="right") - 1
            returns = np.diff(log_price[np.maximum(last, 0)]).reshape(HOURS, -1)
            ratios.append(float(measure(returns).sum()) / true)
        axes.plot(STEPS_S, ratios, "o-", color=colour, ms=3.5)
        axes.annotate(name, (STEPS_S[0], ratios[0]), (-8, 0), textcoords="offset points", color=colour, fontsize=8.5,
                      va="center", ha="right")  # fmt: skip
    axes.set(xscale="log", xlim=(0.45, 130), xlabel="seconds between the prices that are taken")
    axes.set_title(f"Variance of {HOURS} hours from trades at bid and ask, over that of the efficient price")
    ticks(axes.xaxis, *STEPS_S)
    label(axes, 1.0, "truth", GREY)
    figure.tight_layout()
    return figure


def truth() -> Figure:
    """The volatility that a synthetic market has, and what features say of it."""
    path = simulate(MarketSpec().first(1), START_NS, 60.0 * DAY_S, 300.0, np.random.default_rng(SEED))
    bars = to_bars(path, "BTC-SYN", 300, np.random.default_rng(SEED))
    panel = compute_panel(bars, "BTC-SYN", FeatureSpec(300, features=("log_rv_1h", "log_rv_24h")))
    rows = between(panel, "2024-01-21", "2024-02-18")
    x = times(panel.origin_ns[rows])
    true = 100 * np.sqrt(path.spot_variance("BTC-SYN")[(panel.origin_ns[rows] - START_NS) // (300 * NS_PER_S)])
    hourly, daily = (annual_percent(panel.column(name)[rows]) for name in ("log_rv_1h", "log_rv_24h"))
    figure, axes = plt.subplots(figsize=(8, 3.6))
    axes.plot(x, hourly, ".", color=LIGHT, ms=3)
    axes.plot(x, daily, color=INK)
    axes.plot(x, true, color=ACCENT)
    axes.set(
        yscale="log", ylim=(14, 170), title="BTC-SYN: volatility of the diffusion now, and what was seen, % a year"
    )
    ticks(axes.yaxis, 20, 40, 80, 160)
    label(axes, true[-1] * 1.08, "true now", ACCENT)
    label(axes, daily[-1] / 1.08, "log_rv_24h", INK)
    label(axes, 26, "log_rv_1h", GREY)
    dated(axes, x, 4)
    figure.tight_layout()
    return figure


RANGES = ("log_range_24h", "log_garman_klass_24h", "log_rogers_satchell_24h")
ONE_IN_A_THOUSAND = 3.09
HOURS = 24
STEPS_S = (1, 2, 3, 5, 10, 20, 30, 60, 120)
MEASURED: dict[str, tuple[Callable[[np.ndarray], np.ndarray], str]] = {
    "realised": (realised_variance, INK), "subsampled": (subsampled_variance, GREY),
    "kernel": (realised_kernel, ACCENT),
}  # fmt: skip
SHOWN: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "log_spread_60s": ("mean spread of a minute, basis points", lambda v: 1e4 * np.exp(v)),
    "log_depth_5_60s": ("mean depth of five levels a side, millions of quote currency", lambda v: np.exp(v) / 1e6),
    "imbalance_5_60s": ("mean imbalance of their depths, share", np.asarray),
    "ofi_5_60s": ("order flow imbalance, mean depths", np.asarray),
}
PICTURES: dict[str, Callable[[], Figure]] = {
    "jumps": jumps, "ranges": ranges, "outcomes": outcomes, "book": book, "signature": signature, "truth": truth,
}  # fmt: skip


def main() -> None:
    """Draw them all."""
    with plt.rc_context(STYLE):
        for name, draw in PICTURES.items():
            figure = draw()
            figure.savefig(IMAGES / f"features_{name}.png", metadata={"Software": None})
            plt.close(figure)


if __name__ == "__main__":
    main()
