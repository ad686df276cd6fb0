"""Losses of two models of a file of forecasts, on the windows that both of them answered."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from backtests.forecast_rows import ForecastFiles, usable
from backtests.outcomes import Outcomes
from backtests.promotion_verdict import NEEDED, Contest, FloatArray
from backtests.scoring_attendance import Market, places, span_ms
from backtests.scoring_horizon import read_numbers
from backtests.scoring_losses import NUMBERS, losses_of
from features.clock import DAY_NS, HOUR_S, format_utc
from features.engine import Bools
from features.errors import SettingError, ShortHistoryError


def contest_of(paths: Path | Sequence[Path], market: Market, challenger: str, opponent: str) -> Contest:
    """Read what two models forecast and what came of it.

    Parameters
    ----------
    paths : files of forecasts, or folders of them.
    market : outcomes by instrument and horizon, all at the same origins.
    challenger, opponent : names of models in the files.

    Raises
    ------
    SettingError
        If the files have no such model.
    ShortHistoryError
        If nothing is scoreable, or there is no window that both forecast.
    DataError
        See :class:`backtests.forecast_rows.ForecastFiles`.
    """
    files = ForecastFiles([paths] if isinstance(paths, Path) else paths)
    files.require(NUMBERS)
    for name in (challenger, opponent):
        if name not in files.models:
            raise SettingError(f"{files.paths[0]}: no forecasts of {name!r}; the files have {', '.join(files.models)}")
    parts = [
        _Part.of(files, instrument, by_horizon, (challenger, opponent)) for instrument, by_horizon in market.items()
    ]
    found = _joined(parts, tuple(next(iter(market.values()))))
    if not np.isfinite(found.challenger["qlike"] - found.opponent["qlike"]).any():
        raise ShortHistoryError(f"{files.paths[0]}: {challenger} and {opponent} have no window together; choose others")
    return found


class _Part:
    """One instrument: losses (n, h) of both models, and the challenger's missing windows."""

    def __init__(self, day: np.ndarray, n_horizons: int) -> None:
        self.day = day
        self.losses = [{name: np.full((len(day), n_horizons), np.nan) for name in NEEDED} for _ in range(2)]
        self.missing, self.example = 0, ""

    @classmethod
    def of(
        cls, files: ForecastFiles, instrument: str, by_horizon: Mapping[int, Outcomes], models: tuple[str, str]
    ) -> "_Part":
        origin_ns = next(iter(by_horizon.values())).origin_ns
        part = cls(origin_ns // DAY_NS, len(by_horizon))
        for h, outcomes in enumerate(by_horizon.values()):
            present = [_present(files, model, instrument, outcomes) for model in models]
            part._miss(instrument, outcomes, outcomes.scoreable & ~present[0])
            rows = outcomes.scoreable & present[0] & present[1]
            if rows.any():
                part._fill(files, instrument, outcomes, rows, models, h)
        return part

    def _miss(self, instrument: str, outcomes: Outcomes, absent: Bools) -> None:
        if absent.any() and not self.missing:
            first = format_utc(int(outcomes.origin_ns[absent.argmax()]))
            self.example = f"{instrument}, {first}, {outcomes.horizon_s / HOUR_S:g} h"
        self.missing += int(absent.sum())

    def _fill(
        self,
        files: ForecastFiles,
        instrument: str,
        outcomes: Outcomes,
        rows: Bools,
        models: tuple[str, str],
        h: int,
    ) -> None:
        kept = outcomes.rows(rows)
        for losses, model in zip(self.losses, models, strict=True):
            found = losses_of(kept, read_numbers(files, model, instrument, kept))
            for name in NEEDED:
                losses[name][rows, h] = found[name]


def _present(files: ForecastFiles, model: str, instrument: str, outcomes: Outcomes) -> Bools:
    """Origins at which a model has a forecast that can be used."""
    present = np.zeros(len(outcomes), dtype=bool)
    if (model, instrument) in files.pairs:
        rows = usable(files.read(model, instrument, *span_ms(outcomes.origin_ns), outcomes.horizon_s), NUMBERS)
        place = places(rows, outcomes.origin_ns)
        present[place[place >= 0]] = True
    return present


def _joined(parts: list[_Part], horizons_s: tuple[int, ...]) -> Contest:
    losses: list[dict[str, FloatArray]] = [
        {name: np.concatenate([part.losses[side][name] for part in parts]) for name in NEEDED} for side in (0, 1)
    ]
    return Contest(
        day=np.concatenate([part.day for part in parts]),
        horizons_s=horizons_s,
        challenger=losses[0],
        opponent=losses[1],
        missing=sum(part.missing for part in parts),
        example=next((part.example for part in parts if part.missing), ""),
    )
