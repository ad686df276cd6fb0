"""The page of a comparison: which table and picture stands where."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backtests.comparison_sections import (
    condition_section,
    cost_section,
    coverage_section,
    excursion_section,
    hits_section,
    missing_section,
    murphy_section,
    reliability_section,
    tail_section,
    unscored_section,
    variance_section,
    zone_section,
)
from backtests.comparison_tables import best_of
from backtests.comparison_view import Board, board_of, figure, hours, spoken
from backtests.report import Section, write_report


def write_comparison_report(path: Path, scores: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write the page of one backtest, whole and without an address in it.

    Parameters
    ----------
    path : of the HTML file.
    scores : of :func:`backtests.scoring.score_file`, or what JSON made of it.
    about : of :func:`backtests.comparison.about`.
    """
    board, config = board_of(scores), about["config"]
    sections = _score_sections(board) if board.models else []
    sections += [
        cost_section(about["costs"]),
        missing_section(about["missing"]),
        unscored_section(scores["not_scored"], about["missing"]),
    ]
    write_report(
        path,
        f"margincast: {len(board.models)} models compared",
        f"{spoken(scores['instruments'])}, origins from {config['test_from']} to {config['test_to']} (UTC), "
        f"walking forward, on the windows that all scored models forecast. {_held_against(board, config)}",
        _tiles(board, about),
        [section for section in sections if section is not None],
        _footer(about),
    )


def _held_against(board: Board, config: Mapping[str, Any]) -> str:
    if board.baseline is None:
        return f"The baseline {config['baseline']} was not scored, so that nothing is held against it."
    return f"All are held against {board.baseline}."


def _score_sections(board: Board) -> list[Section | None]:
    """Everything about the models that were scored."""
    return [
        variance_section(board),
        tail_section(board),
        coverage_section(board),
        excursion_section(board),
        zone_section(board),
        condition_section(board),
        reliability_section(board),
        hits_section(board),
        murphy_section(board),
    ]


def _tiles(board: Board, about: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The page in a few figures."""
    tiles = []
    for name, word, form in (("qlike", "QLIKE", ".4f"), ("fz_tail", "FZ0", ".4f")):
        for horizon_s in board.by_horizon:
            model, value = best_of(board, horizon_s, name)
            tiles.append((f"{hours(horizon_s)} {word}, the best: {model}", format(value, form)))
    windows = sum(int(figure(board.row(h, board.models[0]), "n")) for h in board.by_horizon) if board.models else 0
    failed = {(one["model"], one["first"]) for one in about["missing"]}
    return [
        *tiles,
        ("windows scored, all horizons", f"{windows:,}"),
        ("models scored", str(len(board.models))),
        ("folds of a model with something missing", str(len(failed))),
    ]


def _footer(about: Mapping[str, Any]) -> str:
    """What the figures depend on."""
    names = {"data_sha256": "data", "spec_sha256": "features", "code_sha256": "code", "code_version": "version"}
    told = [f"{word} {about[name]}" for name, word in names.items() if about.get(name)]
    return " · ".join([*told, "numbers in scores.json, forecasts in forecasts.parquet"])
