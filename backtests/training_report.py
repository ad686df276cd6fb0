"""The page of a training run: what it learned, what it is worth, where it is off."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backtests.training_report_texts as texts
from backtests.comparison_maps import cost_picture
from backtests.comparison_plots import hits_picture, pit_picture, reliability_picture
from backtests.comparison_sections import (
    condition_section,
    excursion_section,
    murphy_section,
    tail_section,
    unscored_section,
    variance_section,
)
from backtests.comparison_sections import coverage_section as compared_coverage_section
from backtests.comparison_tables import cost_table, missing_table
from backtests.comparison_texts import told
from backtests.comparison_view import Board, board_of, figure, hours, spoken
from backtests.report import Section, write_report
from backtests.training_compared import Compared
from backtests.training_report_figures import importance_map, loss_curves, skill_dots
from backtests.training_report_tables import level_table, skill_table, tercile_table, unseen_table
from backtests.training_scores import BASELINE, NETWORK, TRACKED
from models.neural.importance import Importances

if TYPE_CHECKING:
    from backtests.training_run import TrainingRun


def write_training_report(path: Path, run: "TrainingRun") -> None:
    """Write the page of one run, whole and without an address in it."""
    found, about = run.held_out, run.about
    board = board_of(found.scores)
    sections: list[Section | None] = [loss_section(run.trained.histories, run.config.seeds)]
    if board.models:
        sections += _score_sections(board, found)
    sections += [unseen_section(run.unseen), *map(importance_section, run.weighed.found)]
    sections += [cost_section(found.costs), missing_section(found.missing)]
    sections += [unscored_section(found.scores["not_scored"], [{**one} for one in found.missing])]
    write_report(
        path,
        f"margincast: a network trained on {spoken(run.trained.card['provenance']['instruments'])}",
        told(texts.LEAD + (texts.SHORT_LEAD if run.period.is_lead_short else ""), **about["period"]),
        _tiles(found, run),
        [section for section in sections if section is not None],
        f"run {run.key} · model {run.trained.model_id} · data {about['data_sha256']} · "
        f"features {about['spec_sha256']} · code {about['code_sha256']} · version {about['code_version']} · "
        "numbers in scores.json",
    )


def _score_sections(board: Board, found: Compared) -> list[Section | None]:
    """What the forecasts of the held-out period are worth."""
    return [
        skill_section(found.skills),
        coverage_section(board),
        reliability_section(board),
        condition_section(board),
        variance_section(board),
        tail_section(board),
        compared_coverage_section(board),
        excursion_section(board),
        murphy_section(board),
    ]


def loss_section(histories: Sequence[Sequence[Mapping[str, float]]], seeds: Sequence[int]) -> Section | None:
    """Losses by epoch."""
    if not any(epoch for history in histories for epoch in history):
        return None
    return Section("Training", told(texts.LOSSES), [loss_curves(histories, seeds)])


def skill_section(skills: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> Section | None:
    """The network against each classical model."""
    others = list(dict.fromkeys(model for by_model in skills.values() for model in by_model))
    if not others:
        return None
    return Section(
        "The network against each classical model",
        told(texts.SKILLS),
        [skill_dots(skills, others), skill_table(skills)],
    )


def coverage_section(board: Board) -> Section | None:
    """Hit rates of the network by level and volatility."""
    own = own_rows(board)
    tables = [level_table(board, own), tercile_table(board, own)]
    return Section("Coverage of the network", told(texts.COVERAGE), tables) if own else None


def reliability_section(board: Board) -> Section:
    """Reliability and hits over time of the network and the baseline, and where returns fell for all."""
    shown = [*own_rows(board), *([board.baseline] if board.baseline else [])]
    pictures = [reliability_picture(board, shown), pit_picture(board), hits_picture(board, shown)]
    return Section("Reliability", told(texts.RELIABILITY, shown=spoken(shown)), pictures)


def own_rows(board: Board) -> list[str]:
    """The network's rows that were scored."""
    return [model for model in (NETWORK, TRACKED) if model in board.models]


def importance_section(found: Importances, *, shown: int = 25) -> Section:
    """The inputs that weigh most at any horizon; before them, if they were weighed, subjects of several inputs."""
    top = found.top(shown)
    text = told(texts.IMPORTANCES, shown=len(top.names), how=f"{texts.HOW[found.kind]} {found.about}")
    parts = [top] if found.subjects is None else [found.subjects.top(shown), top]
    pictures = [importance_map(part.names, part.horizons_s, part.values) for part in parts]
    return Section(f"What the network looks at: {found.kind}", text, pictures)


def unseen_section(unseen: Mapping[str, Compared]) -> Section | None:
    """Symbols that were left out of training, a table each."""
    boards = {symbol: board_of(found.scores) for symbol, found in unseen.items()}
    tables = [unseen_table(board) for board in boards.values() if board.models]
    if not tables:
        return None
    named = [symbol for symbol, board in boards.items() if board.models]
    return Section(f"Never seen in training: {spoken(named)}", told(texts.UNSEEN, baseline=BASELINE), tables)


def cost_section(costs: Mapping[str, Mapping[str, float]]) -> Section:
    """Seconds that each model took."""
    return Section("Cost", told(texts.COST), [cost_picture(costs), cost_table(costs)])


def missing_section(missing: Sequence[Mapping[str, Any]]) -> Section | None:
    """Instruments without a forecast."""
    return Section("Missing forecasts", texts.MISSING, [missing_table(missing)]) if missing else None


def skill_tiles(skills: Mapping[int, Mapping[str, Mapping[str, Any]]]) -> list[tuple[str, str]]:
    """QLIKE saved, by horizon, over the baseline and over the classical model that did best; signs as in the table."""
    tiles = []
    for h, by_model in skills.items():
        gains = {other: figure(row, "detail", "vs", "qlike", "skill") for other, row in by_model.items()}
        best = min((other for other in gains if math.isfinite(gains[other])), key=gains.__getitem__, default=BASELINE)
        for other in dict.fromkeys((BASELINE, best)):
            if math.isfinite(gains.get(other, math.nan)):
                which = ", the best classical model" if other == best else ""
                tiles.append(
                    (f"{hours(h)} QLIKE saved over {other}{which} (more is better)", f"{100 * gains[other]:+.1f} %")
                )
    return tiles


def _tiles(found: Compared, run: "TrainingRun") -> list[tuple[str, str]]:
    """The page in a few figures."""
    seeds, rows = len(run.config.seeds), sum(run.trained.card["provenance"]["rows"].values())
    return [
        *skill_tiles(found.skills),
        ("networks, one a seed", str(seeds)),
        ("rows of all instruments that were trained on", f"{rows:,}"),
    ]
