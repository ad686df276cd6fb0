"""Quantile regression forest: the law of the return is that of the past origins that fall into the same leaves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from features.errors import SettingError
from features.panel import Panel
from models.base import LEVELS, Forecast
from models.classical.boosted_design import Design, check_pool, thinned
from models.classical.forest_leaves import Leaves
from models.classical.har_rich import HarRichPool

FloatArray = NDArray[np.float64]
LEAST_ROWS = 600  # of windows that hardly overlap
LEAST_RATIO, MOST_RATIO, MOST_SIZE = 1e-3, 20.0, 5.0
UNKNOWN = -100.0  # below every feature: what is not known is a value of its own


@dataclass(frozen=True)
class QuantileForest:
    r"""Random forest over what a line leaves of variance and of the size of returns, pooled.

    .. math:: f_{i,t,h} = s_h e^{b_{i,t,h}} \sum_j w_j(x_{i,t}) \, RV_j / e^{b_j}, \qquad
              q_{p} = e^{b_{i,t,h} / 2} \; \hat F^{-1}(p \mid x_{i,t}), \quad \hat F \text{ of } r_j / e^{b_j / 2}

    with b the log forecast of :class:`models.classical.har_rich.HarRichPool` and w the weights of
    :class:`models.classical.forest_leaves.Leaves` over the pooled past. Trees split so that the log of the ratio of
    variance and the size of the return, each in deviations, are alike within a leaf. s makes the variance unbiased
    over the past.

    Parameters
    ----------
    trees : M.
    leaf_rows : least past origins in a leaf.
    feature_share, row_share : of features that a split, of rows that a tree sees.
    seed : of those draws.

    References
    ----------
    Breiman (2001), "Random forests", Machine Learning 45; Meinshausen (2006), "Quantile regression forests",
    J. Machine Learning Research 7.
    """

    trees: int = 60
    leaf_rows: int = 100
    feature_share: float = 0.25
    row_share: float = 0.3
    seed: int = 0
    base: HarRichPool = field(default_factory=HarRichPool)
    grown: tuple[Leaves, ...] = ()
    scale: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuse settings that grow nothing."""
        shares = self.feature_share, self.row_share
        if self.trees < 1 or self.leaf_rows < 1 or not all(0 < share <= 1 for share in shares):
            raise SettingError(
                f"trees={self.trees}, leaf_rows={self.leaf_rows}, feature_share={shares[0]}, row_share={shares[1]}: "
                "choose counts of 1 at least and shares in (0, 1]"
            )

    def fit(self, panels: Sequence[Panel]) -> "QuantileForest":
        """Fit on every window of every panel that had ended.

        Raises
        ------
        ShortHistoryError
            If fewer than 600 windows of a horizon that hardly overlap had, in all panels together.
        SettingError
            If the panels have several specs or no ``log_rv``.
        """
        check_pool(panels, "a quantile forest", LEAST_ROWS)
        base = self.base.fit(panels)
        designs = [Design.of(panel) for panel in panels]
        log_base = [np.log(base.forecast(panel).variance) for panel in panels]
        fits = [self._fit_one(h, panels, designs, log_base) for h in range(len(panels[0].spec.horizons_s))]
        grown, scale = zip(*fits, strict=True)
        return replace(self, base=base, grown=grown, scale=scale)

    def forecast(self, panel: Panel) -> Forecast:
        """Conditional law of every origin.

        Raises
        ------
        SettingError
            If the model is not fitted.
        """
        if not self.grown:
            raise SettingError("the forest is not fitted; call fit with panels of the past first")
        design, base = Design.of(panel), self.base.forecast(panel).variance
        shape = len(panel), len(self.grown)
        variance, laws = np.empty(shape), np.empty((2, *shape, len(LEVELS)))
        for h, leaves in enumerate(self.grown):
            x = _read(design.beside(h, np.log(base[:, h])))
            variance[:, h] = self.scale[h] * base[:, h] * leaves.mean_ratio(x) if len(panel) else 0.0
            laws[:, :, h] = np.sqrt(base[:, h])[:, None] * np.array(leaves.law(x, LEVELS))
        return Forecast(np.asarray(panel.origin_ns), panel.spec.horizons_s, variance, LEVELS, laws[0], laws[1])

    def _fit_one(
        self, h: int, panels: Sequence[Panel], designs: Sequence[Design], log_base: Sequence[FloatArray]
    ) -> tuple[Leaves, float]:
        """Leaves and smearing factor of one horizon."""
        few = [thinned(panel, h) for panel in panels]
        x = _read(np.concatenate([d.beside(h, b[:, h], r) for d, b, r in zip(designs, log_base, few, strict=True)]))
        base = np.exp(np.concatenate([b[r, h] for b, r in zip(log_base, few, strict=True)]))
        realised = np.concatenate([p.targets.realised_variance[r, h] for p, r in zip(panels, few, strict=True)])
        returns = np.concatenate([p.targets.log_return[r, h] for p, r in zip(panels, few, strict=True)])
        ratio, z = np.clip(realised / base, LEAST_RATIO, MOST_RATIO), returns / np.sqrt(base)
        target = np.stack([np.log(ratio), np.minimum(np.abs(z), MOST_SIZE)], axis=1)
        forest = RandomForestRegressor(
            self.trees,
            min_samples_leaf=self.leaf_rows,
            max_features=self.feature_share,
            max_samples=self.row_share,
            random_state=self.seed,
        )
        leaves = Leaves.gather(forest.fit(x, target / target.std(axis=0)), x, z, ratio)
        return leaves, float(np.mean(realised / (base * leaves.mean_ratio(x))))


def _read(x: FloatArray) -> FloatArray:
    """Features with a value where they are unknown."""
    return np.where(np.isfinite(x), x, UNKNOWN)
