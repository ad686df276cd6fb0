"""How far the challenger and the full revaluation may be apart before it speaks."""

from dataclasses import dataclass

from features.errors import SettingError


@dataclass(frozen=True, slots=True)
class Band:
    """Where the ratio of sensitivity margin to full revaluation may lie.

    ``least_usd``: differences up to it raise no alarm. ``material_frac``: while the
    whole agrees, a part's difference counts from this share of the larger of the two
    whole figures, and where its ratio leaves ``part_low`` to ``part_high``: a part is
    cruder than the whole, as what price and volatility do together counts in both.

    Raises
    ------
    SettingError
        If the band does not hold 1 or a number is out of range.
    """

    low: float = 0.5
    high: float = 2.0
    least_usd: float = 1.0
    material_frac: float = 0.25
    part_low: float = 1 / 3
    part_high: float = 3.0

    def __post_init__(self) -> None:
        """Refuse a band that would always or never speak."""
        for low, high in ((self.low, self.high), (self.part_low, self.part_high)):
            if not 0 < low < 1 < high < float("inf"):
                raise SettingError(f"band {low} to {high}: it must begin above 0, hold 1 and end")
        if not 0 <= self.least_usd < float("inf"):
            raise SettingError(f"band: least_usd is {self.least_usd}; give an amount, finite")
        if not 0 <= self.material_frac <= 1:
            raise SettingError(f"band: material_frac is {self.material_frac}; give 0 to 1")

    def broken(self, sensitivity_usd: float, revaluation_usd: float, part: bool = False) -> bool:
        """Whether two figures of the same thing are too far apart; ``part``: by the band of parts.

        Examples
        --------
        >>> band = Band()
        >>> band.broken(100.0, 60.0), band.broken(100.0, 40.0), band.broken(0.4, 0.0)
        (False, True, False)
        """
        if abs(sensitivity_usd - revaluation_usd) <= self.least_usd:
            return False
        low, high = (self.part_low, self.part_high) if part else (self.low, self.high)
        return not low * revaluation_usd <= sensitivity_usd <= high * revaluation_usd


USUAL_BAND = Band()
