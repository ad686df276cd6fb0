"""The model card of a training run."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from backtests.comparison_view import board_of, hours, spoken
from backtests.training_report import own_rows
from backtests.training_report_tables import level_table, score_table, skill_table, tercile_table, unseen_table
from features.page import TableBlock
from training.model_card import file_hashes, markdown_table, write_model_card
from training.toml_text import toml_text

if TYPE_CHECKING:
    from backtests.training_run import TrainingRun


def write_card(path: Path, run: "TrainingRun") -> None:
    """Write the packaged template, filled from the run."""
    write_model_card(path, _facts(run))


def _facts(run: "TrainingRun") -> dict[str, str]:
    about, provenance = run.about, run.trained.card["provenance"]
    period, network = about["period"], run.config.network
    return {
        "title": f"A network for {spoken(provenance['instruments'])}",
        "model_id": run.trained.model_id,
        "run": run.key,
        "instruments": spoken(provenance["instruments"]),
        "horizons": spoken(hours(h) for h in run.trained.forecaster.spec.horizons_s),
        "anchor": f"`{run.config.inputs.anchor}`",
        "factor": f"{math.exp(network.variance_bound):.3g}",
        "networks": _networks(run.config.seeds),
        "spec": str(about["config"]["data"]["spec"]),
        "trained_from": provenance["trained_from"],
        "rows": ", ".join(f"{symbol} {n:,} rows" for symbol, n in provenance["rows"].items()),
        "lead_days": f"{period['lead_days']:.0f}",
        **{name: period[name] for name in ("known_until", "forecast_from", "test_from", "test_to")},
        **{
            name: about[name]
            for name in ("spec_sha256", "data_sha256", "code_version", "code_sha256", "forecasts_sha256")
        },
        "config": toml_text(about["config"]).strip(),
        "epochs": _epochs(run),
        **_tables(run),
        "missing": "".join(f"* {one['model']} of {one['instrument']}: {one['reason']}\n" for one in about["missing"]),
        "files": file_hashes(run.trained.folder),
        "inputs_sha256": provenance["inputs_sha256"],
    }


def _tables(run: "TrainingRun") -> dict[str, str]:
    """What was scored, as Markdown."""
    board = board_of(run.held_out.scores)
    own, tables = own_rows(board), (level_table, tercile_table)
    alone = {symbol: board_of(found.scores) for symbol, found in run.unseen.items()}
    unseen = [f"{symbol}, which a network trained without it never saw:\n\n{_markdown(unseen_table(b))}"
              for symbol, b in alone.items() if b.models]  # fmt: skip
    return {
        "scores": _markdown(score_table(board)) if board.models else "No model forecast enough to be scored.",
        "skills": _markdown(skill_table(run.held_out.skills)),
        "coverage": "\n\n".join(_markdown(t(board, own)) for t in tables) if own else "The network was not scored.",
        "unseen": "\n\n".join(unseen),
        "elsewhere": f", beside the tables of {spoken(alone)}." if alone else ".",
    }


def _epochs(run: "TrainingRun") -> str:
    """The last figures of each network."""
    told = []
    for seed, history in zip(run.config.seeds, run.trained.histories, strict=True):
        last = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in (history or [{}])[-1].items())
        told.append(f"* seed {seed}: {_counted(len(history), 'epoch')}; at the end {last or 'nothing was told'}")
    return "\n".join(told)


def _networks(seeds: Sequence[int]) -> str:
    """How many answer, and how they become one."""
    if len(seeds) == 1:
        return f"One network answers, of seed {seeds[0]}."
    return f"The log variances and shapes of {len(seeds)} networks are averaged, of seeds {spoken(map(str, seeds))}."


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _markdown(table: TableBlock) -> str:
    return markdown_table(list(table.headings), [[cell.text for cell in row] for row in table.rows])
