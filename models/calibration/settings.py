"""How much of the past the online calibration remembers."""

from dataclasses import dataclass

# A one-day window ends, midnight comes, the windows before it end; and a week that a model may look back.
SETTLING_ROWS = 72 + 168


@dataclass(frozen=True, slots=True)
class Calibration:
    """How much of the past the online calibration remembers; a row stands for the time between origins.

    ``bias_rows``: windows in the debiasing mean. ``prior_rows``: weight of "no
    bias" in it. ``bias_bound``: largest factor either way. ``tail_rows``: span of the
    ended windows from which tails are learned. ``least_rows``: fewer known ones than these leave
    the model's own tails. The memory is finite, so that a backtest and an
    endpoint that start at different times give the same numbers.
    """

    bias_rows: int = 24 * 180
    prior_rows: int = 24 * 10
    bias_bound: float = 2.0
    tail_rows: int = 24 * 365
    least_rows: int = 24 * 60

    @property
    def warm_up_rows(self) -> int:
        """Rows before the first forecast of interest that the calibration should be given."""
        return self.tail_rows + self.bias_rows + SETTLING_ROWS


# Chosen by QLIKE of log-HAR and GARCH-t over four coins: three months' more weight of "no bias" keeps a crash that
# nothing foresaw from biasing half a year of forecasts.
PATIENT = Calibration(prior_rows=24 * 120)
