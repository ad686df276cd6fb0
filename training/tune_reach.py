"""Whether the data of a search reach as far as its folds do."""

from collections.abc import Sequence

from features.clock import NS_PER_S, format_utc, parse_utc
from features.errors import ShortHistoryError
from features.panel import Panel
from training.config import TrainingConfig
from training.tune_config import TuneConfig


def check_reach(config: TuneConfig, base: TrainingConfig, panels: Sequence[Panel]) -> None:
    """Refuse folds, and a training of the best configuration, that end after the data.

    Parameters
    ----------
    config : the search.
    base : what it begins from, see :meth:`training.tune_config.TuneConfig.training`.
    panels : of all instruments, whole. Data up to an instant have an origin at it, or less than a step before it.

    Raises
    ------
    ShortHistoryError
        With the key and the last origin of the data.
    """
    last_ns = max(int(panel.origin_ns[-1]) for panel in panels)
    beyond_ns = last_ns + panels[0].spec.every_s * NS_PER_S
    keys = {f"folds.{i}.score_until": fold.score_until for i, fold in enumerate(config.folds)}
    if base.data is not None and base.data.fit_until is not None:
        keys["data.fit_until"] = base.data.fit_until
    for key, instant in keys.items():
        if parse_utc(instant) >= beyond_ns:
            raise ShortHistoryError(
                f"{config.file}: {key} {instant} is after the end of the data: features reach to "
                f"{format_utc(last_ns)}; choose an earlier one or import more"
            )
