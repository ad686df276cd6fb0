"""What trades and the book add to returns: recordings or a synthetic market in, a table and a page out."""

from collections.abc import Callable
from pathlib import Path

from backtests.ablation_market import group_of_market
from backtests.ablation_models import answer_group
from backtests.ablation_plan import AblationPlan, AblationResult, AblationScore, Group
from backtests.ablation_recordings import groups_of_store
from backtests.ablation_report import write_ablation_report
from backtests.ablation_scores import score_group
from backtests.ablation_tables import scores_json
from features.errors import ShortHistoryError
from features.files import write_json
from features.pipeline import Progress
from training.config import TrainingConfig

Bar = Callable[[str], Progress]  # a progress bar for a named step


def run_ablation(
    out: Path, bar: Bar, config: TrainingConfig, store: Path | None = None, plan: AblationPlan | None = None,
    config_name: str = "book",
) -> AblationResult:  # fmt: skip
    """Train every model on every rung of features, score them, write ``report.html`` and ``scores.json``.

    Parameters
    ----------
    out : folder of everything that is written; panels of a store are kept there and used again.
    bar : gives a progress bar for a named step.
    config : the networks' training.
    store : recordings to read; none: a synthetic market is drawn, whose law is known.
    config_name : what the page calls the configuration.

    Raises
    ------
    DataError
        If the store has no recordings that are long enough, or a model cannot be fitted; no page is written then.
    """
    plan = plan or AblationPlan()
    groups, left_out = _groups(out, store, plan, bar)
    scores: list[AblationScore] = []
    for group in groups:
        progress = bar(f"{group.name}: train and forecast, rung by rung")
        scores += score_group(group, answer_group(group, plan, config, progress), plan)
    result = AblationResult(out, plan, tuple(groups), tuple(scores), left_out)
    write_json(out / "scores.json", scores_json(result))
    write_ablation_report(result, config_name)
    return result


def _groups(out: Path, store: Path | None, plan: AblationPlan, bar: Bar) -> tuple[list[Group], dict[str, str]]:
    if store is None:
        return [group_of_market(plan, bar("draw a synthetic market"))], {}
    groups, left_out = groups_of_store(store, out / "cache", plan, bar("compute features"))
    if not groups:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ShortHistoryError(f"{store}: no recording can be used ({reasons})")
    return groups, left_out
