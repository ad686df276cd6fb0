"""Pooled gradient-boosted trees on top of the rich regression: of variance, and of the scale of either tail."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from features.errors import SettingError, lookup
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical import law
from models.classical.boosted_design import Design, check_pool, thinned
from models.classical.boosted_tails import Tails, TailsOfOneHorizon
from models.classical.boosted_trees import Boosting, grow, raw_values
from models.classical.har_rich import HarRichPool

FloatArray = NDArray[np.float64]
LEAST_ROWS = 600  # of windows that hardly overlap: half of them are drawn for a tree, and a leaf holds 200
LEAST_RATIO, MOST_RATIO = 1e-3, 6.0  # of realised variance to the line's forecast, as trees see it: a crash is one row
# Objective of LightGBM, and its label from the ratio.
LOSSES = {"gamma": "gamma", "log": "l2"}


@dataclass(frozen=True)
class Boosted:
    r"""Trees for what a line leaves of variance, one sum of trees for all instruments, each horizon by itself.

    .. math:: f_{i,t,h} = s_h \, e^{b_{i,t,h} + \sum_m T_{m,h}(x_{i,t} - b_{i,t,h}, \, b_{i,t,h})}

    with b the log forecast of :class:`models.classical.har_rich.HarRichPool`. Trees read logs of variance as
    distances from b, so that one split compares a look-back with what is expected. They are grown on
    :math:`y = RV / e^b`, clipped to [0.001, 6], for the least

    * ``gamma``: :math:`\sum y e^{-T} + T`, the gamma deviance, which is QLIKE;
    * ``log``: :math:`\sum (\ln y - T)^2`;

    and s, the mean of :math:`RV / f` over the past with s = 1, makes the forecast unbiased (Duan's smearing) whatever
    the loss and the clip.

    Parameters
    ----------
    loss : ``gamma`` or ``log``.
    tails : also answer a conditional law: see :class:`models.classical.boosted_tails.Tails`. Else the law is normal.
    trees : at a horizon of one step; of h steps there are :math:`h^{-1/5}` times as many, for its windows overlap.
    leaves, rate, seed, threads : see :class:`models.classical.boosted_trees.Boosting`.

    References
    ----------
    Friedman (2001), "Greedy function approximation: a gradient boosting machine", Annals of Statistics 29(5);
    Ke et al. (2017), "LightGBM", NeurIPS 30; Patton (2011), J. Econometrics 160(1), for QLIKE; Duan (1983),
    J. American Statistical Association 78; Christensen, Siggaard & Veliyev (2023), "A machine learning approach to
    volatility forecasting", J. Financial Econometrics 21(5).
    """

    loss: Literal["gamma", "log"] = "gamma"
    tails: bool = False
    trees: int = 300
    leaves: int = 31
    rate: float = 0.03
    seed: int = 0
    threads: int = 1
    base: HarRichPool = field(default_factory=HarRichPool)
    grown: tuple[str, ...] = ()  # LightGBM's text of each horizon
    log_scale: tuple[float, ...] = ()
    laws: tuple[TailsOfOneHorizon, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings that grow nothing."""
        lookup(LOSSES, self.loss, "loss of boosted trees")
        self.boosting(1)  # checks its own settings

    def boosting(self, horizon_rows: int) -> Boosting:
        """How the trees of variance over some steps are grown."""
        count = max(round(self.trees * horizon_rows**-0.2), min(self.trees, 1))
        return Boosting(count=count, leaves=self.leaves, rate=self.rate, seed=self.seed, threads=self.threads)

    def fit(self, panels: Sequence[Panel]) -> "Boosted":
        """Fit on every window of every panel that had ended.

        Raises
        ------
        ShortHistoryError
            If fewer than 600 windows of a horizon that hardly overlap had, in all panels together.
        SettingError
            If the panels have several specs or no ``log_rv``.
        """
        check_pool(panels, "boosted trees", LEAST_ROWS)
        base = self.base.fit(panels)
        designs = [Design.of(panel) for panel in panels]
        log_base = [np.log(base.forecast(panel).variance) for panel in panels]
        fits = [self._fit_one(h, panels, designs, log_base) for h in range(len(panels[0].spec.horizons_s))]
        grown, scale, laws = zip(*fits, strict=True)
        return replace(self, base=base, grown=grown, log_scale=scale, laws=laws if self.tails else ())

    def forecast(self, panel: Panel) -> Forecast:
        """Conditional or normal law of every origin.

        Raises
        ------
        SettingError
            If the model is not fitted.
        """
        if not self.grown:
            raise SettingError("the boosted trees are not fitted; call fit with panels of the past first")
        design, log_base = Design.of(panel), np.log(self.base.forecast(panel).variance)
        inputs = [design.beside(h, log_base[:, h]) for h in range(len(self.grown))]
        logs = [
            log_base[:, h] + raw_values(trees, x, self.threads) + scale
            for h, (x, trees, scale) in enumerate(zip(inputs, self.grown, self.log_scale, strict=True))
        ]
        variance = np.exp(np.stack(logs, axis=1))
        if not self.laws:
            return law.normal(panel, variance)
        shapes = [tail.at(x, self.threads) for tail, x in zip(self.laws, inputs, strict=True)]
        quantiles, shortfall = (np.stack(part, axis=1) for part in zip(*shapes, strict=True))
        deviation = np.sqrt(variance)[..., None]
        return Forecast(
            np.asarray(panel.origin_ns), panel.spec.horizons_s, variance, LEVELS, deviation * quantiles,
            deviation * shortfall,
        )  # fmt: skip

    def _fit_one(
        self, h: int, panels: Sequence[Panel], designs: Sequence[Design], log_base: Sequence[FloatArray]
    ) -> tuple[str, float, TailsOfOneHorizon | None]:
        """Text of the trees, log of the smearing factor, and tails of one horizon."""
        few = [thinned(panel, h) for panel in panels]
        x = np.concatenate([d.beside(h, b[:, h], r) for d, b, r in zip(designs, log_base, few, strict=True)])
        base = np.concatenate([b[r, h] for b, r in zip(log_base, few, strict=True)])
        realised = np.concatenate([p.targets.realised_variance[r, h] for p, r in zip(panels, few, strict=True)])
        ratio = realised / np.exp(base)
        clipped = np.clip(ratio, LEAST_RATIO, MOST_RATIO)
        boosting = self.boosting(panels[0].spec.horizon_rows[h])
        trees = grow(x, clipped if self.loss == "gamma" else np.log(clipped), LOSSES[self.loss], boosting)
        raw = raw_values(trees, x, self.threads)
        scale = float(np.log(np.mean(ratio / np.exp(raw))))
        if not self.tails:
            return trees, scale, None
        returns = np.concatenate([p.targets.log_return[r, h] for p, r in zip(panels, few, strict=True)])
        z = returns / np.exp((base + raw + scale) / 2)
        return trees, scale, Tails(seed=self.seed, threads=self.threads).fit(x, z)
