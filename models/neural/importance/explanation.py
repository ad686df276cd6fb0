"""Why one forecast lies above or below its anchor's."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from features.errors import SettingError
from features.panel import Panel
from models.neural.forecaster import NeuralForecaster
from models.neural.importance.attribution import Path
from models.neural.importance.parts import inputs_of, subjects_of
from models.neural.importance.results import heaviest
from models.neural.importance.sample import Sample

FloatArray = NDArray[np.float64]
REST = "all others"


@dataclass(frozen=True, slots=True)
class Explanation:
    r"""One forecast in parts that add up, in log units of variance.

    .. math:: \ln \sigma^2_h = \ln \sigma^2_{anchor,h} + b_h + \sum_j A_{j,h}

    0.1 multiplies the variance by 1.105. It tells what the network made of its inputs, not what moved the market.

    Parameters
    ----------
    instrument, origin_ns : whose forecast, and of when.
    horizons_s : h.
    log_anchor : (h,), log variance of the anchor.
    base : (h,), what the network adds when every input is at its middle of training, a mean hour of each clock.
    names : of k inputs.
    contributions : (k, h), signed.
    subjects : the same by subject.
    """

    instrument: str
    origin_ns: int
    horizons_s: tuple[int, ...]
    log_anchor: FloatArray
    base: FloatArray
    names: tuple[str, ...]
    contributions: FloatArray
    subjects: "Explanation | None" = None

    @property
    def correction(self) -> FloatArray:
        """How far the forecast lies above the anchor's, (h,)."""
        above: FloatArray = self.base + self.contributions.sum(axis=0)
        return above

    @property
    def log_variance(self) -> FloatArray:
        """The forecast, (h,), before calibration."""
        return self.log_anchor + self.correction

    def top(self, n: int) -> "Explanation":
        """The n inputs that move it farthest at any horizon, and all others as one."""
        rows = heaviest(np.abs(self.contributions), n)
        rest = np.delete(self.contributions, rows, axis=0).sum(axis=0)
        names = (*(self.names[i] for i in rows), REST)
        return replace(self, names=names, contributions=np.vstack([self.contributions[rows], rest]))

    def grouped(self) -> "Explanation":
        """By subject: see :data:`models.neural.importance.SUBJECTS`."""
        return self.subjects or self


def explain(forecaster: NeuralForecaster, panel: Panel, row: int = -1, steps: int = 32) -> Explanation:
    """Split one forecast into what each input added: integrated gradients with their signs.

    Parameters
    ----------
    forecaster : trained networks.
    panel : of one instrument, with the past of the origin.
    row : of the panel; from the end if negative.
    steps : points of the path.

    Raises
    ------
    SettingError
        If there is no such row, or the panel is of another feature spec.
    ConvergenceError
        If the parts do not add up to within 0.001; the message says by how much.

    References
    ----------
    Sundararajan, Taly & Yan (2017), "Axiomatic attribution for deep networks", ICML 2017.
    """
    if not -len(panel) <= row < len(panel):
        raise SettingError(f"no row {row} in a panel of {len(panel)} origins")
    past = panel.rows(0, row % len(panel) + 1)
    sample = Sample.of(forecaster, [past], int(past.origin_ns[-1]), with_outcome=False)
    found = Path.of(forecaster, steps).attributed(sample.inputs, torch.from_numpy(sample.rows))
    whole = Explanation(
        panel.instrument,
        int(past.origin_ns[-1]),
        panel.spec.horizons_s,
        sample.inputs.anchor[-1].double().numpy(),
        found.base[0],
        (),
        np.zeros((0, len(panel.spec.horizons_s))),
    )
    by_subject, by_input = (
        replace(
            whole,
            names=tuple(part.name for part in parts),
            contributions=np.stack([found.of(part)[0] for part in parts]),
        )
        for parts in (subjects_of(forecaster), inputs_of(forecaster))
    )
    return replace(by_input, subjects=by_subject)
