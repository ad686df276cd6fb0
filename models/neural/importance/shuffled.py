r"""Permutation: what forecasts lose when an input tells of another time.

.. math:: I_j = \frac1n \sum_i L(RV_i, f(x_i \text{ with } x_{\pi(i), j})) - L(RV_i, f(x_i))

with QLIKE as L, the permutation pi within each instrument, and the mean over several of them.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from features.clock import DAY_S
from features.errors import SettingError
from features.panel import Panel
from models.neural.clocks import Clock
from models.neural.forecaster import BATCH, NeuralForecaster
from models.neural.importance.parts import Part, inputs_of, subjects_of
from models.neural.importance.results import Importances, mean_and_error
from models.neural.importance.sample import Sample
from models.neural.inputs import Inputs
from models.scores import qlike

FloatArray = NDArray[np.float64]
Rows = NDArray[np.int64]
LEAST_BLOCKS = 50


def permutation(
    forecaster: NeuralForecaster,
    panels: Sequence[Panel],
    rng: np.random.Generator,
    repeats: int = 3,
    *,
    from_ns: int = 0,
) -> Importances:
    """Rise of mean QLIKE at each horizon when an input is shuffled in time.

    Blocks of consecutive rows change places, of random lengths, a day on average: a block of whole days would leave
    every hour where it was. The anchor that is corrected stays; what is shuffled is what the correction sees of it.
    Inputs that tell the same stand in for each other, and each then seems to matter little: see ``grouped``.

    Parameters
    ----------
    forecaster : trained networks.
    panels : of instruments, with outcomes that were not trained on.
    rng : draws the permutations, the same for every input.
    repeats : permutations.
    from_ns : forecasts of earlier origins are not measured, only read as the past.

    Returns
    -------
    Importances
        In units of QLIKE; about 0, of either sign, where an input does not matter; below 0 where it harmed.

    Raises
    ------
    SettingError
        If the panels are of another feature spec, or there is no repeat.
    ShortHistoryError
        If no outcome is known on two days.

    References
    ----------
    Breiman (2001), "Random forests", Machine Learning 45(1); Fisher, Rudin & Dominici (2019), "All models are wrong,
    but many are useful", J. Machine Learning Research 20(177).
    """
    if repeats < 1:
        raise SettingError(f"repeats={repeats} shuffles nothing; choose 1 at least")
    sample = Sample.of(forecaster, panels, from_ns, with_outcome=True)
    steps_a_day = max(DAY_S // forecaster.spec.every_s, 1)
    shuffles = [shuffled(sample.rows, sample.lengths, steps_a_day, rng) for _ in range(repeats)]
    usual = _loss(forecaster, sample, Part("nothing"), sample.rows)

    def measured(parts: Sequence[Part], subjects: Importances | None) -> Importances:
        rises = [np.mean([_loss(forecaster, sample, part, to) - usual for to in shuffles], axis=0) for part in parts]
        sums = np.stack([sample.per_day(rise) for rise in rises])
        counts = sample.per_day(np.isfinite(usual).astype(np.float64))
        names, horizons_s = tuple(part.name for part in parts), forecaster.spec.horizons_s
        return Importances("permutation", names, horizons_s, *mean_and_error(sums, counts), sample.about, subjects)

    return measured(inputs_of(forecaster), measured(subjects_of(forecaster), None))


def shuffled(rows: Rows, lengths: Sequence[int], block: int, rng: np.random.Generator) -> Rows:
    """Rows in another order: blocks of consecutive ones change places within each instrument.

    Parameters
    ----------
    rows : (n,), one instrument after the other.
    lengths : rows of each instrument.
    block : mean length of a block; shorter where there would be fewer than 50.

    Examples
    --------
    >>> moved = shuffled(np.arange(100), [60, 40], 5, np.random.default_rng(0))
    >>> sorted(moved[:60].tolist()) == list(range(60)), bool((moved == np.arange(100)).all())
    (True, False)
    """
    parts = np.split(rows, np.cumsum(lengths)[:-1])
    return np.concatenate([_blocks_moved(part, block, rng) for part in parts])


def _blocks_moved(rows: Rows, block: int, rng: np.random.Generator) -> Rows:
    n_blocks = min(max(len(rows) // block, LEAST_BLOCKS), len(rows))
    if n_blocks < 2:
        return rows
    cuts = np.sort(rng.choice(len(rows) - 1, n_blocks - 1, replace=False)) + 1
    blocks = np.split(rows, cuts)
    return np.concatenate([blocks[i] for i in rng.permutation(n_blocks)])


def _loss(forecaster: NeuralForecaster, sample: Sample, part: Part, taken: Rows) -> FloatArray:
    """QLIKE (n, h) of forecasts that read one part at other rows; NaN where the outcome is not known."""
    found = []
    with torch.inference_mode():
        for cut in sample.batches(BATCH):
            rows, other = sample.tensor(sample.rows[cut]), sample.tensor(taken[cut])
            of_each = [
                net.log_variance(net.outputs(last, past, instrument), anchor)
                for net in forecaster.nets
                for last, past, anchor, instrument in [mixed(sample.inputs, rows, other, part, net.encoder.clocks)]
            ]
            found.append(torch.stack(of_each).double().mean(dim=0))
    loss: FloatArray = qlike(sample.realised, np.exp(torch.cat(found).numpy()))
    return loss


def mixed(
    inputs: Inputs, rows: Tensor, taken: Tensor, part: Part, clocks: Sequence[Clock]
) -> tuple[Tensor, list[Tensor], Tensor, Tensor]:
    """Arguments of a network for some rows, with one part as it stands at other rows."""
    last, past, anchor, instrument = inputs.at(rows, clocks)  # gathered rows are copies
    other_last, other_past, _, _ = inputs.at(taken, clocks if part.past else ())
    last[:, list(part.last)] = other_last[:, list(part.last)]
    for own, other in zip(past, other_past, strict=False):
        own[..., list(part.past)] = other[..., list(part.past)]
    return last, past, anchor, instrument
