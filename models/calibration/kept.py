"""The memory of an online calibration as plain numbers, sealed so that damage shows."""

import hashlib
import json
from typing import Any

import numpy as np

from features.errors import ForecastError, SettingError

SEAL = "sha256"


def plain_of_memory(memory: dict[str, Any]) -> dict[str, Any]:
    """Arrays of one instrument as lists; scores without the room that they do not fill."""
    size = int(memory["size"][0]) if "size" in memory else None
    return {name: array[0, :size].tolist() if array.ndim > 1 else array[0].item() for name, array in memory.items()}


def memory_of_plain(plain: dict[str, Any], begun: dict[str, Any]) -> dict[str, Any]:
    """Lists back into arrays of the shapes and types of ``begun``.

    Raises
    ------
    ForecastError
        If a part is missing, foreign, of another length or not finite.
    """
    if set(plain) != set(begun):
        raise ForecastError(f"parts {sorted(plain)}, expected {sorted(begun)}")
    memory = {name: array.copy() for name, array in begun.items()}
    size = plain.get("size")
    for name, array in memory.items():
        value = np.asarray(plain[name], dtype=array.dtype)
        length = array[0].shape if size is None or array.ndim == 1 else (size,)
        if value.shape != length or not np.isfinite(value).all():
            raise ForecastError(f"{name} of shape {value.shape}, or not finite")
        if array.ndim > 1:
            array[0, : len(value)] = value
        else:
            array[0] = value
    if memory["windows"][0] < 0:
        raise ForecastError("fewer windows than none")
    return memory


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """The value with the hash of itself."""
    return value | {SEAL: _hash(value)}


def check_kept(value: dict[str, Any], identity: dict[str, Any]) -> None:
    """Refuse a state that is damaged or of another calibration.

    Raises
    ------
    ForecastError, SettingError
        If the seal is not its own; if what it says of itself is not ``identity``.
    """
    body = {name: part for name, part in value.items() if name != SEAL}
    if value.get(SEAL) != _hash(body):
        raise ForecastError("kept state of a calibration is damaged: its hash is another; use an older copy")
    for name, own in identity.items():
        if body.get(name) != own:
            raise SettingError(
                f"kept state of a calibration is of {name} {body.get(name)}, not {own}; "
                "begin anew or change the settings"
            )


def _hash(value: dict[str, Any]) -> str:
    """SHA-256 of a value's JSON."""
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ForecastError(f"kept state of a calibration is damaged ({error}); use an older copy") from error
    return hashlib.sha256(text.encode()).hexdigest()
