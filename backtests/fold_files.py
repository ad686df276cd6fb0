"""What one fold leaves behind: raw forecasts as plain arrays, and a JSON that says how they came about or why not."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from features.files import discard, is_sealed, seal, write_json, written_whole
from models.base import LEVELS, Forecast, concatenate

ARRAYS, CARD = "forecasts.npz", "fold.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one instrument fared in one fold: seconds it cost, origins it forecast, or the reason why it could not."""

    instrument: str
    n_origins: int
    fit_s: float
    forecast_s: float
    failure: str = ""


def write_fold(folder: Path, about: dict[str, Any], outcomes: list[Outcome], forecasts: dict[str, Forecast]) -> None:
    """Write a fold whole and seal it.

    Laws are kept as multiples of the standard deviation in single precision: where a model has one shape, as most
    have before calibration, the columns are constant and take no room.
    """
    discard(folder)
    arrays: dict[str, np.ndarray] = {}
    for symbol, forecast in forecasts.items():
        scale = np.sqrt(forecast.variance)[..., None]
        arrays[f"{symbol}/origin_ns"] = forecast.origin_ns
        arrays[f"{symbol}/variance"] = forecast.variance
        arrays[f"{symbol}/quantiles"] = (forecast.quantiles / scale).astype(np.float32)
        arrays[f"{symbol}/shortfall"] = (forecast.shortfall / scale).astype(np.float32)
    with written_whole(folder) as scratch:
        scratch.mkdir()
        np.savez_compressed(scratch / ARRAYS, allow_pickle=False, **arrays)
        write_json(scratch / CARD, about | {"outcomes": [asdict(outcome) for outcome in outcomes]})
    seal(folder)


def is_finished(folder: Path) -> bool:
    """Whether a fold was written whole and is what was written."""
    return is_sealed(folder)


def read_outcomes(folder: Path) -> list[Outcome]:
    """How each instrument fared."""
    card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    return [Outcome(**outcome) for outcome in card["outcomes"]]


def read_raw(folders: list[Path], symbol: str, horizons_s: tuple[int, ...]) -> Forecast | None:
    """Raw forecasts of one instrument from all folds that have any, in order; None if no fold has."""
    parts = [part for folder in folders if (part := _read_part(folder, symbol, horizons_s)) is not None]
    return concatenate(parts) if parts else None


def _read_part(folder: Path, symbol: str, horizons_s: tuple[int, ...]) -> Forecast | None:
    with np.load(folder / ARRAYS, allow_pickle=False) as arrays:
        if f"{symbol}/variance" not in arrays:
            return None
        variance = arrays[f"{symbol}/variance"]
        scale = np.sqrt(variance)[..., None]
        return Forecast(
            origin_ns=arrays[f"{symbol}/origin_ns"],
            horizons_s=horizons_s,
            variance=variance,
            levels=LEVELS,
            quantiles=arrays[f"{symbol}/quantiles"] * scale,
            shortfall=arrays[f"{symbol}/shortfall"] * scale,
        )
