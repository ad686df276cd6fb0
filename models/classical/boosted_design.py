"""What pooled trees read of a panel beside a line's forecast, the same for every instrument."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.clock import DAY_NS, NS_PER_S
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.classical.boosted_clock import recent_clock
from models.classical.rich_features import looks

FloatArray = NDArray[np.float64]
Bools = NDArray[np.bool_]
VARIANCE_FAMILIES = (
    "log_rv", "log_bv", "log_medrv", "log_minrv", "log_kernel", "log_two_scale", "log_range", "log_garman_klass",
    "log_rogers_satchell", "log_yang_zhang",
)  # fmt: skip
OUTAGE = 6.0  # log units below the longest look-back: an exchange that stood still, not a calm market


@dataclass(frozen=True, slots=True)
class Design:
    """One panel as trees read it.

    ``values`` (n, f): features, unknown ones NaN; logs of variance not below ``OUTAGE`` of the longest look-back.
    ``variance`` (f,): which of them are logs of variance.
    ``clock`` (n, h, c): see :func:`models.classical.boosted_clock.recent_clock`; empty without a log_rv of one step.
    """

    values: FloatArray
    variance: Bools
    clock: FloatArray

    @classmethod
    def of(cls, panel: Panel) -> "Design":
        """Read a panel.

        Raises
        ------
        SettingError
            If its spec has no ``log_rv`` of the instrument itself.
        """
        own = looks(panel, "log_rv")
        if not own:
            raise SettingError("trees need a log_rv of the instrument itself; add log_rv_24h to the features")
        level = panel.column(own[max(own)])
        variance = np.array([_is_variance(name) for name in panel.spec.features])
        values = panel.values.astype(np.float64)
        mine = variance & np.array(["." not in name for name in panel.spec.features])  # a leader has a level of its own
        values = np.where(mine, np.maximum(values, level[:, None] - OUTAGE), values)
        clock = np.zeros((len(panel), len(panel.spec.horizons_s), 0))
        if panel.spec.every_s in own and len(panel):
            clock = recent_clock(panel, panel.column(own[panel.spec.every_s]), level)
        return cls(values, variance, clock)

    def beside(self, h: int, log_base: FloatArray, rows: Bools | slice = slice(None)) -> FloatArray:
        """Columns for one horizon: logs of variance as distances from the line's forecast (n,), and that forecast."""
        base = log_base[rows, None]
        values = self.values[rows] - np.where(self.variance, base, 0.0)
        return np.concatenate([values, self.clock[rows, h], base], axis=1)


def check_pool(panels: Sequence[Panel], model: str, least: int) -> None:
    """Refuse a pool that nothing can be fitted on.

    Parameters
    ----------
    model : name for the message.
    least : ended windows, of all panels together, that each horizon needs.

    Raises
    ------
    ShortHistoryError, SettingError
        If there is no panel, or too few of their windows had ended; if their specs differ.
    """
    if not panels:
        raise ShortHistoryError(f"{model} got no panel to fit on; give at least one")
    other = next((panel for panel in panels if panel.spec != panels[0].spec), None)
    if other is not None:
        raise SettingError(
            f"{model} pools panels of one feature spec; {other.instrument} has another than {panels[0].instrument}: "
            "build them from one spec"
        )
    names = ", ".join(panel.instrument for panel in panels)
    for h, horizon_s in enumerate(panels[0].spec.horizons_s):
        ended = sum(int(thinned(panel, h).sum()) for panel in panels)
        if ended < least:
            raise ShortHistoryError(
                f"{model} needs {least} ended windows of {horizon_s} s that hardly overlap, {names} have {ended}; "
                "give a longer history or more instruments"
            )


def known_windows(panel: Panel, h: int) -> Bools:
    """Whether the window of each origin had ended and can be scored, shape (n,)."""
    known: Bools = np.isfinite(panel.targets.realised_variance[:, h]) & np.isfinite(panel.targets.log_return[:, h])
    return known


def thinned(panel: Panel, h: int) -> Bools:
    r"""Known windows, one of :math:`\lfloor \sqrt{h} \rfloor`, h in steps: their neighbours overlap them, shape (n,).

    Which hours are kept moves on from day to day.
    """
    every = int(np.sqrt(panel.spec.horizon_rows[h]))
    step = panel.origin_ns // (panel.spec.every_s * NS_PER_S)
    kept: Bools = (step + panel.origin_ns // DAY_NS) % every == 0
    return kept & known_windows(panel, h)


def _is_variance(name: str) -> bool:
    return name.rpartition(".")[2].rpartition("_")[0] in VARIANCE_FAMILIES
