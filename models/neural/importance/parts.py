"""Inputs of a network as a reader thinks of them: by name, a clock's columns as one, and by subject."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.families import BOOK_FAMILIES_OF_N
from features.families.book import BOOK_FAMILIES
from features.families.calendar import CALENDAR_FAMILIES
from features.families.carry import CARRY_FAMILIES
from features.families.flow import FLOW_FAMILIES
from features.scaling import CLIP
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Reader

PAST = "past "
CLOCK_COLUMN = re.compile(r"(\D+) \d+")  # "utc 13"
OTHER = "other"
SUBJECTS: dict[str, tuple[str, ...]] = {
    "anchor": ("anchor ",),
    "clock": (*CALENDAR_FAMILIES, "utc ", "day ", "ny ", "clock "),
    "ranges": ("log_range", "log_garman_klass", "log_rogers_satchell", "log_yang_zhang"),
    "moves": ("log_return", "move", "downside", "skewness"),
    "quarticity": (
        "rq_ratio", "jump", "kurtosis", "realised_quarticity", "tripower_quarticity", "med_realised_quarticity",
        "lee_mykland",
    ),
    "volume": tuple(FLOW_FAMILIES),
    "order book": (*BOOK_FAMILIES, *BOOK_FAMILIES_OF_N),
    "carry": tuple(CARRY_FAMILIES),
    "other coins": ("others ", "wildest "),
    "own variance": ("level", "log_", "noise_variance", "3600 s ahead", "14400 s ahead"),
}  # fmt: skip
"""How the names of each subject begin; the first that fits counts. Beside these, "companions" and "other"."""


@dataclass(frozen=True, slots=True)
class Part:
    """Columns that belong together: ``last`` of the origin's own row, ``past`` of the rows of the past."""

    name: str
    last: tuple[int, ...] = ()
    past: tuple[int, ...] = ()


def subject(name: str, companions: Sequence[str] = ()) -> str:
    """What a column tells of.

    Examples
    --------
    >>> subject("log_rv_4h squared"), subject("ETHUSDT.move_4h size"), subject("harq 3600 s", ["harq"])
    ('own variance', 'other coins', 'companions')
    """
    name = name.removeprefix(PAST)
    if name.partition(" ")[0] in companions:
        return "companions"
    if "." in name:  # BTCUSDT.log_rv_1h
        return "other coins"
    return next((told for told, begins in SUBJECTS.items() if name.startswith(begins)), OTHER)


def inputs_of(forecaster: NeuralForecaster) -> list[Part]:
    """A part an input: a column of the last row, all hours of one clock, all rows of the past of one feature."""
    return _gathered(forecaster, lambda name: clock[1] if (clock := CLOCK_COLUMN.fullmatch(name)) else name)


def subjects_of(forecaster: NeuralForecaster) -> list[Part]:
    """A part a subject, of the last row and of the past."""
    companions = tuple(forecaster.reader.config.companions)
    return _gathered(forecaster, lambda name: subject(name, companions))


def _gathered(forecaster: NeuralForecaster, part_of: Callable[[str], str]) -> list[Part]:
    """Columns by the part that each belongs to, in the order of their first."""
    last, past = forecaster.reader.names, _past_names(forecaster)
    found = dict.fromkeys([part_of(name) for name in (*last, *past)])
    return [
        Part(part, *(tuple(i for i, name in enumerate(names) if part_of(name) == part) for names in (last, past)))
        for part in found
    ]


def _past_names(forecaster: NeuralForecaster) -> list[str]:
    """Names of the columns that :meth:`models.neural.inputs.Reader.sequence` chooses; none without a clock."""
    wanted = forecaster.reader.config.sequence
    if not any(net.encoder.clocks for net in forecaster.nets):
        return []
    return [f"{PAST}{name}" for name in forecaster.spec.features if not wanted or name.startswith(wanted)]


def middle_of(reader: Reader) -> NDArray[np.float64]:
    r"""Where the last row stands at the middle of training, scaled, (n_last,): 0, but for the hours of a clock.

    One of those is always set: from an origin with none, every real hour would seem to add the same. So each stands at
    its share p of the training rows, known from the deviation that it was scaled by:

    .. math:: s = \sqrt{p (1 - p)}, \qquad p = \tfrac12 \left( 1 - \sqrt{1 - 4 s^2} \right)
    """
    spread = reader.last_scaling.spread
    share = (1 - np.sqrt(np.maximum(1 - 4 * spread**2, 0.0))) / 2
    is_hour = np.array([bool(CLOCK_COLUMN.fullmatch(name)) for name in reader.names])
    return np.where(is_hour, share * np.minimum(1 / spread, CLIP), 0.0)
