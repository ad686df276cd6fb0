"""What the numbers of a trained network came from."""

from collections.abc import Sequence
from typing import Any

from features.clock import format_utc
from features.files import code_hash
from features.panel import Panel
from features.pipeline import FEATURE_CODE
from training.checkpoints import CODE
from training.config import TrainingConfig
from training.fit import Trained


def provenance(panels: Sequence[Panel], config: TrainingConfig, trained: Trained, data_sha256: str) -> dict[str, Any]:
    """Plain values for an artefact: instruments, period, configuration, hashes, figures of each epoch by seed.

    Parameters
    ----------
    panels, config, trained : arguments and answer of :func:`training.fit.train`.
    data_sha256 : fingerprint of the data that the panels were computed from.
    """
    names = [panel.instrument for panel in panels]
    return {
        "instrument": ", ".join(names),
        "instruments": names,
        "trained_from": format_utc(min(int(panel.origin_ns[0]) for panel in panels)),
        "trained_until": format_utc(max(int(panel.origin_ns[-1]) for panel in panels)),
        "training": config.model_dump(mode="json"),
        "data_sha256": data_sha256,
        "code_sha256": code_hash(*CODE),
        "feature_code_sha256": code_hash(*FEATURE_CODE),
        "histories": [list(history) for history in trained.histories],
    }
