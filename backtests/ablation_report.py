"""The page of the ablation: what trades and the book add to the returns, and how sure that is."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from backtests.ablation_plan import KINDS, NETWORK, RETURNS, RIDGE, AblationResult, AblationScore, Group
from backtests.ablation_rungs import LADDER, RUNG_NAMES, ladder_of
from backtests.ablation_tables import ablation_table, is_clear, pooled, recording_table
from backtests.book_tables import span
from backtests.plots import COLOURS, GRID, INK
from backtests.report import Section, write_report
from features.page import Cell, TableBlock

ADDED = tuple(rung for rung in LADDER if rung != RETURNS)


def write_ablation_report(result: AblationResult, config: str) -> None:
    """Write the page; ``config`` names what the networks were trained with."""
    sections = [_read(result)]
    for group in result.groups:
        sections += _sections(result, group)
    write_report(
        result.report,
        "margincast: what the order book adds",
        "The same models on returns alone, with the flow of trades, with the shape of the book, and with all of it: "
        "one training, one debiasing and one kind of tails for all, on the last part of each recording.",
        _tiles(result),
        sections,
        f"training configuration {config} · numbers in scores.json · "
        + " · ".join(f"{g.name}: spec {g.spec.hash[:12]}" for g in result.groups),
    )


def _tiles(result: AblationResult) -> list[tuple[str, str]]:
    """For each group, of how many comparisons in QLIKE the added features are clearly better."""
    tiles = []
    for group in result.groups:
        found = [s.added["qlike"] for s in pooled(result, group.name) if s.rung in ADDED]
        told = [d for d in found if d.low is not None]
        better = sum(map(is_clear, told))
        worse = sum(d.low is not None and d.low > 0 for d in told)
        tiles.append((f"{group.name}: QLIKE clearly better, clearly worse, of", f"{better} · {worse} · {len(found)}"))
    return tiles


def _read(result: AblationResult) -> Section:
    plan = result.plan
    text = (
        "A recording is a stretch without a hole. Training knows what had happened when "
        f"{100 * plan.train_share:.0f} % of it were over: windows that end later have no outcome there, which purges "
        "the longest horizon. The rest is the test. Nothing was chosen on it."
    )
    blocks = [recording_table(result)]
    if result.left_out:
        text += " Left out are the recordings of the second table."
        rows = [[Cell(name), Cell(reason)] for name, reason in result.left_out.items()]
        blocks.append(TableBlock(["left out", "because"], rows))
    return Section("What was read", text, blocks)


def _sections(result: AblationResult, group: Group) -> list[Section]:
    scores = pooled(result, group.name)
    parts = [_pooled_section(group, scores)]
    if len(group.recordings) > 1:
        for recording in group.recordings:
            own = [s for s in result.scores if (s.group, s.recording) == (group.name, recording.name)]
            if own:
                parts.append(Section(recording.name, "The same test windows, of this recording alone.", [
                    ablation_table(own)
                ]))  # fmt: skip
    return parts


def _pooled_section(group: Group, scores: list[AblationScore]) -> Section:
    few = ", ".join(f"{span(s.horizon_s)}: {s.apart}" for s in scores if (s.kind, s.rung) == (RIDGE, RETURNS))
    text = (
        f"Windows overlap; behind each other fit, over all recordings, {few}. A difference is the mean loss less that "
        "of the same model on returns alone, below 0 is better; its 95 % interval takes what begins in one block of "
        "time, in any recording, as one, and where there are fewer than eight blocks there is none. In blue: better "
        "beyond the interval. With many comparisons a few are beyond it by chance. Tail pinball is in standard "
        "deviations of the training part's returns."
    )
    if any(s.reached is not None for s in scores):
        text += (
            " Reached: share of the way from the training part's mean variance to the true expected variance, in "
            "QLIKE; nobody can do better than 100 % but by chance."
        )
    adds = "; ".join(
        f"{RUNG_NAMES[rung]}: {len(names)}" for rung, names in ladder_of(group.spec).items()
    )  # fmt: skip
    text += f" Features by rung, {adds}."
    return Section(group.name, text, [added_picture(scores), ablation_table(scores)])


def added_picture(scores: list[AblationScore]) -> go.Figure:
    """Differences in QLIKE from returns alone, in percent of its QLIKE, with intervals; a panel a model."""
    kinds = (RIDGE, NETWORK)
    figure = make_subplots(1, 2, subplot_titles=[KINDS[k] for k in kinds], shared_yaxes=True, horizontal_spacing=0.05)
    base = {(s.kind, s.horizon_s): s.loss["qlike"] for s in scores if s.rung == RETURNS}
    for column, kind in enumerate(kinds, start=1):
        for i, rung in enumerate(ADDED):
            own = [s for s in scores if (s.kind, s.rung) == (kind, rung)]
            unit = np.array([base[kind, s.horizon_s] for s in own]) / 100
            mean = np.array([s.added["qlike"].mean for s in own])
            low, high = (
                np.array([np.nan if (end := getattr(s.added["qlike"], side)) is None else end for s in own])
                for side in ("low", "high")
            )
            figure.add_scatter(
                x=[span(s.horizon_s) for s in own],
                y=mean / unit,
                error_y={"array": (high - mean) / unit, "arrayminus": (mean - low) / unit, "thickness": 1.3},
                mode="markers",
                marker={"size": 9, "color": COLOURS[i]},
                name=RUNG_NAMES[rung],
                offsetgroup=str(i),
                legendgroup=rung,
                showlegend=column == 1,
                row=1,
                col=column,
            )
    figure.add_hline(y=0, line={"color": INK, "width": 1})
    figure.update_layout(
        template="plotly_white", height=380, scattermode="group", scattergap=0.6,
        margin={"l": 64, "r": 24, "t": 44, "b": 40}, legend={"orientation": "h", "y": -0.14, "x": 0},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
    )  # fmt: skip
    figure.update_xaxes(gridcolor=GRID)
    figure.update_yaxes(gridcolor=GRID)
    figure.update_yaxes(title="QLIKE less that of returns alone, %", row=1, col=1)
    return figure
