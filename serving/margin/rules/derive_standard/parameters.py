"""Parameters of Derive's standard margin: fractions of spot, scales and thresholds that the venue sets."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from features.errors import SettingError
from serving.margin.objects.checks import fraction, not_negative


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the venue sets for one market.

    ``perpetual_*``: of notional. ``spot_most``, ``spot_least``: initial margin of a short
    option, of spot, at the money and far out of it. ``call_maintenance``,
    ``put_maintenance``: of spot; ``put_maintenance_mark``: of the put's value, where that
    is more. ``offset``: initial margin of a put is at least this times its maintenance.
    ``unpaired_*``: of the forward, for a call sold more often than bought.
    ``confidence_*``, ``peg_*``: for feeds and a cash asset that are not trusted.
    ``base_weight``: of spot held, that counts; initially that times ``base_initial``.
    """

    source: str = ""
    perpetual_maintenance: float
    perpetual_initial: float
    spot_most: float
    spot_least: float
    call_maintenance: float
    put_maintenance: float
    put_maintenance_mark: float
    offset: float
    unpaired_initial: float
    unpaired_maintenance: float
    perpetual_threshold: float
    option_threshold: float
    base_threshold: float
    confidence_scale: float
    peg_threshold: float
    peg_scale: float
    base_weight: float
    base_initial: float

    def __post_init__(self) -> None:
        """Refuse numbers that are none, and a weight above 1."""
        for name in self.__struct_fields__[1:]:
            not_negative(getattr(self, name), f"derive_standard: {name}", SettingError)
        for name in ("base_weight", "base_initial"):
            fraction(getattr(self, name), f"derive_standard: {name}", SettingError)


def read_parameters(document: Mapping[str, Any]) -> Parameters:
    """Parameters from a plain mapping, as a TOML file gives it.

    Raises
    ------
    SettingError
        If a key is unknown or missing or a number is out of bounds; the message names it.

    Examples
    --------
    >>> read_parameters({"spot_more": 0.15})
    Traceback (most recent call last):
    features.errors.SettingError: derive_standard: Object contains unknown field `spot_more`
    """
    try:
        return msgspec.convert(document, Parameters)
    except msgspec.ValidationError as error:
        raise SettingError(f"derive_standard: {error}") from error


PUBLISHED: Final = Parameters(
    source="github.com/derivexyz/v2-core test/config-test.sol getSRMParams; depeg as in its tests of this rule",
    perpetual_maintenance=0.05,
    perpetual_initial=0.065,
    spot_most=0.15,
    spot_least=0.1,
    call_maintenance=0.075,
    put_maintenance=0.075,
    put_maintenance_mark=0.075,
    offset=1.05,
    unpaired_initial=1.2,
    unpaired_maintenance=1.1,
    perpetual_threshold=0.4,
    option_threshold=0.4,
    base_threshold=0.4,
    confidence_scale=0.4,
    peg_threshold=0.98,
    peg_scale=1.2,
    base_weight=0.8,
    base_initial=1.0,
)
