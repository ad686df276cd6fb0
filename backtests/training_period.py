"""Which hours a training run learns from, which it remembers for its calibration, and which it is scored on."""

from collections.abc import Mapping
from dataclasses import dataclass

from backtests.config import Schedule
from backtests.folds import Fold
from features.clock import DAY_NS, HOUR_NS, NS_PER_S, format_utc, parse_utc
from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from features.spec import FeatureSpec
from models.calibration import PATIENT
from training.settings import DataSettings

LEAD_DAYS = 540  # of forecasts before the first that is scored, for biases and tails; less where little was held out
LEAD_SHARE = 3  # at least two thirds of what was held out are scored


@dataclass(frozen=True, slots=True)
class Period:
    """``fold``: fitted on what was known at ``fit_until``, forecasts all later origins up to ``to_ns``.

    Forecasts before ``from_ns`` are the lead: the calibration learns from them, and no score counts them.
    """

    fold: Fold
    from_ns: int
    to_ns: int

    @property
    def lead_days(self) -> float:
        """Length of the lead."""
        return (self.from_ns - self.fold.first_ns) / DAY_NS

    @property
    def is_lead_short(self) -> bool:
        """Whether the test begins before any tails could be learned."""
        return self.from_ns - self.fold.first_ns < PATIENT.least_rows * HOUR_NS

    def told(self) -> dict[str, str]:
        """First and last instants in words, UTC."""
        return {
            "known_until": format_utc(self.fold.known_ns),
            "forecast_from": format_utc(self.fold.first_ns),
            "test_from": format_utc(self.from_ns),
            "test_to": format_utc(self.to_ns),
        }


def period_of(
    data: DataSettings, panels: Mapping[str, Panel], spec: FeatureSpec, test_from: str | None, test_to: str | None
) -> Period:
    """Split the panels at ``fit_until``.

    Parameters
    ----------
    data : the configuration's.
    panels : of every instrument that is trained on or scored.
    spec : theirs.
    test_from, test_to : first and last origin that is scored, UTC. None: after a lead of :data:`LEAD_DAYS` or a third
        of what was held out, whichever is shorter; the last origin of the data.

    Raises
    ------
    SettingError
        If ``fit_until`` is not given, the test lies before it, or a period is empty.
    ShortHistoryError
        If there is nothing to train on, or the data end too soon.
    """
    if data.fit_until is None:
        raise SettingError("data.fit_until is not given: where does training end? Set it, what comes later is scored")
    known_ns, fit_from_ns = parse_utc(data.fit_until), parse_utc(data.fit_from) if data.fit_from else 0
    if fit_from_ns >= known_ns:
        raise SettingError(f"data.fit_from {data.fit_from} is not before fit_until {data.fit_until}; correct one")
    _check_reach(data, panels, known_ns, fit_from_ns, spec)
    last_ns = max(int(panel.origin_ns[-1]) for panel in panels.values())
    first_ns = _origin_from(known_ns, spec)
    to_ns = parse_utc(test_to) if test_to else last_ns
    if test_to and to_ns <= first_ns:
        raise SettingError(
            f"--to {test_to} is not after the first forecast, {format_utc(first_ns)}, which is made where training ends"
            f" (data.fit_until {data.fit_until}); choose a later --to"
        )
    lead_ns = min(LEAD_DAYS * DAY_NS, (min(to_ns, last_ns) - first_ns) // LEAD_SHARE)
    from_ns = parse_utc(test_from) if test_from else _origin_from(first_ns + lead_ns // DAY_NS * DAY_NS, spec)
    _check_test(data, from_ns, to_ns, first_ns, last_ns)
    fold = Fold(
        fit_from_ns=fit_from_ns,
        fit_until_ns=known_ns - spec.purge_s * NS_PER_S,
        known_ns=known_ns,
        first_ns=first_ns,
        stop_ns=min(to_ns, last_ns) + 1,
        recall_ns=Schedule().recall_days * DAY_NS,
    )
    return Period(fold, from_ns, min(to_ns, last_ns))


def _origin_from(ts_ns: int, spec: FeatureSpec) -> int:
    """The first origin at or after an instant."""
    step_ns = spec.every_s * NS_PER_S
    return -(-ts_ns // step_ns) * step_ns


def _check_reach(
    data: DataSettings, panels: Mapping[str, Panel], known_ns: int, fit_from_ns: int, spec: FeatureSpec
) -> None:
    first_ns, last_ns = (
        pick(int(panel.origin_ns[end]) for panel in panels.values()) for pick, end in ((min, 0), (max, -1))
    )
    reach = f"features reach from {format_utc(first_ns)} to {format_utc(last_ns)}"
    if max(first_ns, fit_from_ns) >= min(known_ns, last_ns) - spec.purge_s * NS_PER_S:
        raise ShortHistoryError(
            f"{reach}: nothing to train on from {data.fit_from or 'the first'} until {data.fit_until}, less the "
            f"{spec.purge_s} s of the longest window; choose other data.fit_from, data.fit_until, or import more"
        )
    if last_ns <= known_ns:
        raise ShortHistoryError(
            f"{reach}: data.fit_until {data.fit_until} leaves nothing to score; choose an earlier one or import more"
        )


def _check_test(data: DataSettings, from_ns: int, to_ns: int, first_ns: int, last_ns: int) -> None:
    span = f"the test from {format_utc(from_ns)} to {format_utc(to_ns)}"
    if from_ns < first_ns:
        raise SettingError(f"{span} begins before training ends, {data.fit_until}; choose a later --from")
    if from_ns >= last_ns:
        raise ShortHistoryError(f"{span}: data end at {format_utc(last_ns)}; choose an earlier --from or import more")
    if from_ns >= to_ns:
        raise SettingError(f"{span} is empty; choose other dates with --from, --to")
