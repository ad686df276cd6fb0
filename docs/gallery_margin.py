"""Draw the picture of docs/margin.md from the example documents: ``python docs/gallery_margin.py``, from the root."""

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from gallery import ACCENT, GREY, IMAGES, INK, LIGHT, STYLE
from matplotlib.axes import Axes

from serving.margin.holdings import book_of
from serving.margin.objects import Account, ForecastSet, MarketSnapshot
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import Prepared, prepare
from serving.margin.quote import quote
from serving.margin.scenarios.scenario_set import scenario_set
from serving.margin.scenarios.vol import vol_moves
from serving.margin.units import unit_pnl
from serving.margin_files import read_document

FOLDER = Path("docs/margin")
TURNS = ((0.0, INK, "volatility as today"), (-1.0, GREY, "volatility down"), (1.0, ACCENT, "volatility up"))


def btc_profit(prepared: Prepared, account: Account, move: np.ndarray, turn: float) -> np.ndarray:
    """Profit of the account's BTC positions, orders left out, at every move; USD."""
    ranges, policy = prepared.initial.ranges, prepared.policy.scenarios
    moves = np.repeat(move[:, None], len(ranges.underlyings), axis=1)
    shocked = scenario_set([""] * len(move), moves, vol_moves(np.full(len(move), turn), ranges, policy))
    unit = unit_pnl(prepared.market, shocked, policy)
    rows = [(prepared.market.row(p.instrument), float(p.quantity)) for p in account.positions if "BTC" in p.instrument]
    return sum((q * unit[:, row] for row, q in rows), np.zeros(len(move)))


def profile(axes: Axes, prepared: Prepared, account: Account) -> None:
    """Profit over the move, the scan range, and what dampened scenarios count."""
    move = np.linspace(-0.7, 1.1, 361)
    for turn, colour, name in TURNS:
        axes.plot(100 * move, btc_profit(prepared, account, move, turn) / 1000, color=colour, label=name)
    ranges, scenarios = prepared.initial.ranges, prepared.initial.scenarios
    u = ranges.underlyings.index("BTC")
    axes.axvspan(-100 * ranges.down[u], 100 * ranges.up[u], color=LIGHT, alpha=0.45, lw=0)
    far = [s for s in range(scenarios.size) if scenarios.weight[s, u] < 1 and abs(scenarios.move[s, u]) < 1.1]
    far = [s for s in far if not scenarios.names[s].startswith("maintenance")]
    held = book_of(account, [p for p in account.positions if "BTC" in p.instrument], prepared.market, prepared.policy)
    rows, q = held.positions.instrument, held.positions.quantity
    counted = (prepared.initial.unit[:, rows] * q).sum(axis=1)
    axes.scatter(
        100 * scenarios.move[far, u],
        counted[far] / 1000,
        s=14,
        color=ACCENT,
        zorder=3,
        label="what counts beyond the range",
    )
    axes.axhline(0, color=GREY, lw=0.6)
    axes.set(
        title="BTC positions: profit, thousand USD", xlabel="move of the price, %", ylim=(-112, 32), xlim=(-72, 112)
    )
    axes.annotate("scan range", (12, 24), color=GREY, fontsize=8)
    axes.legend(
        frameon=True,
        facecolor="white",
        edgecolor="none",
        framealpha=1,
        fontsize=8,
        loc="lower left",
        bbox_to_anchor=(0.0, 0.05),
    )


def composition(axes: Axes, prepared: Prepared, account: Account) -> None:
    """Components of initial margin, one on the other."""
    result = quote(account, prepared)
    parts = [(c.name, float(c.initial)) for c in result.components if abs(c.initial) >= 30]
    rest = float(result.initial) - sum(v for _, v in parts)
    parts += [("all others", rest), ("initial margin", float(result.initial))]
    at = 0.0
    for i, (name, value) in enumerate(parts):
        whole = name == "initial margin"
        start = 0.0 if whole else at
        axes.barh(i, value, left=start, color=INK if whole else GREY if value < 0 else ACCENT, height=0.62)
        axes.text(max(start, start + value) + 250, i, f"{value:,.0f}", va="center", fontsize=8, color=INK)
        at += 0.0 if whole else value
    axes.set_yticks(range(len(parts)), [name for name, _ in parts])
    axes.invert_yaxis()
    axes.set(title="Cross account: initial margin, USD", xlim=(0, 29_000))
    axes.xaxis.set_ticks([0, 10_000, 20_000], ["0", "10,000", "20,000"])
    axes.tick_params(axis="y", length=0)


def main() -> None:
    """Draw and write."""
    account = read_document(FOLDER / "account.json", Account)
    market = read_document(FOLDER / "market.json", MarketSnapshot)
    prepared = prepare(market, MarginPolicy(), [read_document(FOLDER / "forecast.json", ForecastSet)])
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4), width_ratios=(1.15, 1), layout="constrained")
        profile(left, prepared, account)
        composition(right, prepared, account)
        figure.savefig(IMAGES / "margin_account.png", metadata={"Software": None})


if __name__ == "__main__":
    main()
