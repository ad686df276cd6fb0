"""Tables of a comparison's page: variances, tails, their coverage, what is missing and what was left out."""

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from backtests.comparison_columns import TESTS, Column, interval, number, rejected, several, table
from backtests.comparison_view import Board, figure, hours
from features.page import Cell, TableBlock

LOW, HIGH = ("0.005", "0.01", "0.025", "0.05"), ("0.95", "0.975", "0.99", "0.995")
CI = ("detail", "vs")

VARIANCE = (
    number("QLIKE", "qlike"),
    number("net of floor", "qlike_net"),
    interval("skill, % (95 %)", "skill", *CI, "qlike", form="+.1f", scale=100),
    number("ex shocks", "qlike_ex_shocks"),
    number("DM t", "vs", "qlike", "dm_t", form="+.1f", better=""),
    number("MCS p", "mcs", "qlike", "p", form=".2f", better=""),
    number("MSE log", "msle"),
    number("mean RV/f", "mean_ratio", form=".3f", better=""),
    number("origins", "coverage", form=".2%", better=""),
)
TAILS = (
    number("pinball, bp", "pin_tail_bp", form=".3f"),
    interval("its skill, % (95 %)", "skill", *CI, "pin_tail", form="+.2f", scale=100),
    number("CRPS, bp", "crps_bp", form=".3f"),
    number("FZ0", "fz_tail"),
    interval("less baseline's (95 %)", "difference", *CI, "fz_tail", form="+.4f", better="less"),
    number("DM t", "vs", "fz_tail", "dm_t", form="+.1f", better=""),
    number("MCS p", "mcs", "fz_tail", "p", form=".2f", better=""),
)
COVERAGE = (
    several("below .5, 1, 2.5, 5 %", [(f"hit_{p}",) for p in LOW], ".2f", 100),
    several("above 95, 97.5, 99, 99.5 %", [(f"hit_{p}",) for p in HIGH], ".2f", 100),
    several("Z2 1, 99 %", [("z2_0.01",), ("z2_0.99",)], "+.2f"),
    several("worst tercile, pp", [("tercile_worst_pp", "0.01"), ("tercile_worst_pp", "0.99")], ".2f"),
    Column("rejected", rejected),
    several("standing", [("detail", "rejections", test, "discoveries") for test in TESTS], ".0f"),
)

EXCURSIONS = (
    number("pinball down 99 %, bp", "xpin_dn_0.99", form=".3f"),
    number("99.5 %, bp", "xpin_dn_0.995", form=".3f"),
    number("pinball up 99 %, bp", "xpin_up_0.99", form=".3f"),
    number("99.5 %, bp", "xpin_up_0.995", form=".3f"),
    several("beyond 99, 99.5 % down, %", [("xhit_dn_0.99",), ("xhit_dn_0.995",)], ".2f", 100),
    several("beyond 99, 99.5 % up, %", [("xhit_up_0.99",), ("xhit_up_0.995",)], ".2f", 100),
)


def variance_table(board: Board, horizon_s: int) -> TableBlock:
    """Losses of the variance, best first."""
    return table(board, horizon_s, VARIANCE, "qlike")


def tail_table(board: Board, horizon_s: int) -> TableBlock:
    """Losses of the tails, best first."""
    return table(board, horizon_s, TAILS, "fz_tail")


def coverage_table(board: Board, horizon_s: int) -> TableBlock:
    """Hit rates and their tests, in the order of the tails' losses."""
    return table(board, horizon_s, COVERAGE, "fz_tail")


def excursion_table(board: Board, horizon_s: int) -> TableBlock:
    """Losses of the excursions' quantiles and how often they were exceeded, best first."""
    return table(board, horizon_s, EXCURSIONS, "xpin_dn_0.99")


def zone_table(board: Board, horizon_s: int) -> TableBlock:
    """Exceptions of the last days by instrument and side, with the zone of each."""
    models = board.ranked("fz_tail")
    zones = {model: board.pooled(horizon_s)[model]["detail"]["basel"] for model in models}
    places = [(name, level) for name in next(iter(zones.values())) for level in ("0.01", "0.99")]
    rows = [[Cell(m), *(Cell(_zone(zones[m][name][level])) for name, level in places)] for m in models]
    return TableBlock(["model", *(f"{name} {100 * float(level):g} %" for name, level in places)], rows)


def zone_days(board: Board, horizon_s: int) -> int:
    """The most days that any instrument's exceptions are counted over."""
    tables = (row["detail"]["basel"] for row in board.pooled(horizon_s).values())
    return max((side["days"] for table in tables for place in table.values() for side in place.values()), default=0)


def _zone(found: Mapping[str, Any]) -> str:
    return f"{found['exceptions']} {found['zone'] or ''}".strip()


def cost_table(costs: Mapping[str, Mapping[str, float]]) -> TableBlock:
    """Seconds of every model, the cheapest first."""
    rows = []
    for model, cost in sorted(costs.items(), key=lambda item: sum(item[1].values())):
        seconds = [cost["fit_s"], cost["forecast_s"], cost["calibrate_s"]]
        rows.append([Cell(model), *(Cell(f"{s:,.1f}") for s in (*seconds, sum(seconds)))])
    return TableBlock(["model", "fit, s", "forecast, s", "calibrate, s", "together, s"], rows)


def missing_table(missing: Sequence[Mapping[str, str]]) -> TableBlock:
    """Folds without a forecast; those that follow each other for one reason share a row."""
    rows = []
    for (model, instrument, reason), run in groupby(_runs(missing), key=lambda r: (r[0], r[1], r[2])):
        folds = list(run)
        for first, stop, count in _joined([(fold[3], fold[4]) for fold in folds]):
            rows.append([model, instrument, first, stop, str(count), reason])
    headings = ["model", "instrument", "from", "to", "folds", "reason"]
    return TableBlock(headings, [[Cell(text) for text in row] for row in rows])


def _runs(missing: Sequence[Mapping[str, str]]) -> list[tuple[str, ...]]:
    names = ("model", "instrument", "reason", "first", "stop")
    return sorted(tuple(one[name] for name in names) for one in missing)


def _joined(spans: Sequence[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Spans that touch, as one; with how many they were.

    Examples
    --------
    >>> _joined([("01-01", "02-01"), ("02-01", "03-01"), ("05-01", "06-01")])
    [('01-01', '03-01', 2), ('05-01', '06-01', 1)]
    """
    found: list[tuple[str, str, int]] = []
    for first, stop in spans:
        if found and found[-1][1] == first:
            found[-1] = (found[-1][0], stop, found[-1][2] + 1)
        else:
            found.append((first, stop, 1))
    return found


def unscored_table(not_scored: Mapping[str, Any], missing: Sequence[Mapping[str, str]]) -> TableBlock:
    """Models that forecast too few origins, where, and what their folds failed of."""
    rows = []
    for model, shares in not_scored.items():
        where = "; ".join(f"{place} {share:.1%}" for place, share in _by_instrument(shares).items())
        reasons = dict.fromkeys(one["reason"] for one in missing if one["model"] == model)
        rows.append([Cell(model), Cell(where), Cell("; ".join(reasons) or "forecasts are not in the file")])
    return TableBlock(["model", "least share of origins forecast", "reason"], rows)


def _by_instrument(shares: Mapping[str, float]) -> dict[str, float]:
    """Least share of each instrument, with the horizons at which it is too small.

    Examples
    --------
    >>> _by_instrument({"A/3600": 0.5, "A/14400": 0.4, "B/3600": 0.0})
    {'A (1 h, 4 h)': 0.4, 'B (1 h)': 0.0}
    """
    horizons: dict[str, list[int]] = {}
    for place in shares:
        instrument, _, horizon_s = place.rpartition("/")
        horizons.setdefault(instrument, []).append(int(horizon_s))
    return {
        f"{name} ({', '.join(hours(h) for h in sorted(at))})": min(shares[f"{name}/{h}"] for h in at)
        for name, at in horizons.items()
    }


def best_of(board: Board, horizon_s: int, name: str) -> tuple[str, float]:
    """The model with the smallest figure, and the figure."""
    model = board.sorted_by(horizon_s, name)[0]
    value = figure(board.pooled(horizon_s)[model], name)
    return model, value if math.isfinite(value) else math.nan
