"""Integrated gradients over many forecasts: see :mod:`models.neural.importance.attribution`."""

from collections.abc import Sequence

import numpy as np

from features.panel import Panel
from models.neural.forecaster import NeuralForecaster
from models.neural.importance.attribution import Path
from models.neural.importance.parts import inputs_of, subjects_of
from models.neural.importance.results import Importances, mean_and_error
from models.neural.importance.sample import Sample

AT_ONCE = 1_024


def integrated_gradients(
    forecaster: NeuralForecaster, panels: Sequence[Panel], steps: int = 32, *, from_ns: int = 0
) -> Importances:
    """Mean size of what each input adds to the log variance at each horizon.

    Parameters
    ----------
    forecaster : trained networks.
    panels : of instruments; outcomes are not read.
    steps : points of the path.
    from_ns : forecasts of earlier origins are not measured, only read as the past.

    Returns
    -------
    Importances
        In log units: 0.1 is a tenth of the variance. A subject's is the mean size of the sum of its inputs'.

    Raises
    ------
    SettingError
        If the panels are of another feature spec, or there is no step.
    ShortHistoryError
        If there are no origins of two days.
    ConvergenceError
        If some attributions do not add up to within 0.001; the message says by how much.

    References
    ----------
    Sundararajan, Taly & Yan (2017), "Axiomatic attribution for deep networks", ICML 2017.
    """
    sample = Sample.of(forecaster, panels, from_ns, with_outcome=False)
    path = Path.of(forecaster, steps)
    parts = [*inputs_of(forecaster), *subjects_of(forecaster)]
    sums = np.zeros((len(parts), int(sample.day.max()) + 1, len(forecaster.spec.horizons_s)))
    for cut in sample.batches(AT_ONCE):
        found = path.attributed(sample.inputs, sample.tensor(sample.rows[cut]))
        for i, part in enumerate(parts):
            sums[i] += sample.per_day(np.abs(found.of(part)), cut)
    counts = np.broadcast_to(np.bincount(sample.day)[:, None], sums.shape[1:]).astype(np.float64)
    mean, error = mean_and_error(sums, counts)

    def table(rows: slice, subjects: Importances | None) -> Importances:
        names, horizons_s = tuple(part.name for part in parts[rows]), forecaster.spec.horizons_s
        return Importances("integrated gradients", names, horizons_s, mean[rows], error[rows], sample.about, subjects)

    n_inputs = len(inputs_of(forecaster))
    return table(slice(n_inputs), table(slice(n_inputs, None), None))
