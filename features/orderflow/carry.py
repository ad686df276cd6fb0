"""Carry and activity: basis, funding, open interest, volume against its hour of the week."""

import numpy as np

from features.clock import DAY_S, HOUR_NS
from features.compiled import compiled
from features.errors import SettingError
from features.orderflow.levels import FloatArray, IntArray, ratio
from features.orderflow.quotes import in_order

HOURS_OF_WEEK = 168
YEAR_S = 365 * DAY_S
HOURS_SINCE_MONDAY = 72
"""At the start of the clock: 1970-01-01 was a Thursday."""


def basis_frac(perp: FloatArray, index: FloatArray) -> FloatArray:
    r"""Premium of a perpetual or a future over the index or the spot at the same instant, as a fraction of it.

    .. math:: \frac{F}{S} - 1

    Examples
    --------
    >>> basis_frac(np.array([101.0]), np.array([100.0]))
    array([0.01])
    """
    return ratio(perp - index, index)


def funding_annual(rate: FloatArray, interval_s: FloatArray | float) -> FloatArray:
    r"""Funding rate per year of 365 days, simple: what a long pays, as a fraction of notional.

    .. math:: f \cdot \frac{31\,536\,000}{\Delta}

    Parameters
    ----------
    rate : array of shape (n,), paid at each settlement, a fraction of notional.
    interval_s : seconds between settlements; NaN comes back where it is 0, that is unknown.

    Examples
    --------
    >>> funding_annual(np.array([1e-4]), 28_800.0).round(4)
    array([0.1095])
    """
    return ratio(rate * YEAR_S, np.asarray(interval_s, dtype=np.float64))


def open_interest_change(open_interest: FloatArray) -> FloatArray:
    r"""Log change of open interest since the row before, shape (n,); NaN in the first row and beside a 0.

    .. math:: \ln \frac{O_t}{O_{t-1}}

    Examples
    --------
    >>> open_interest_change(np.array([100.0, 110.0, 0.0])).round(4)
    array([   nan, 0.0953,    nan])
    """
    known = np.log(np.where(open_interest > 0, open_interest, np.nan))
    return np.diff(known, prepend=np.nan)


def hour_of_week(ts_ns: IntArray) -> IntArray:
    """Hours since Monday 00:00 UTC, 0 to 167.

    Examples
    --------
    >>> hour_of_week(np.array([0, 4 * 24 * HOUR_NS - 1, 4 * 24 * HOUR_NS])).tolist()  # Thursday; to Monday
    [72, 167, 0]
    """
    return (ts_ns // HOUR_NS + HOURS_SINCE_MONDAY) % HOURS_OF_WEEK


def seasonal_volume(ts_ns: IntArray, volume: FloatArray) -> FloatArray:
    r"""Volume of each row relative to the mean row of the same hour of the week in earlier weeks.

    .. math:: \frac{v_t}{\bar v_t}, \quad
              \bar v_t = \mathrm{mean}\{v_s : h(s) = h(t),\ \mathrm{week}(s) < \mathrm{week}(t)\}

    Parameters
    ----------
    ts_ns : array of shape (n,)
        Starts of equally long rows, ns UTC, ascending; the volume is known at the row's end.
    volume : array of shape (n,), >= 0.

    Returns
    -------
    array of shape (n,)
        1 is usual. NaN until the hour was seen in an earlier week, where the mean is 0, and where the
        volume is NaN; such a row is left out of later means, which one gap would void for ever.

    Raises
    ------
    TimeOrderError
        If ``ts_ns`` steps back.
    SettingError
        If the lengths differ.

    Examples
    --------
    >>> week = HOURS_OF_WEEK * HOUR_NS
    >>> seasonal_volume(np.array([0, 1, 2]) * week, np.array([2.0, 4.0, 6.0])).tolist()
    [nan, 2.0, 2.0]
    """
    if ts_ns.shape != volume.shape:
        raise SettingError(f"each row has a time and a volume, got {ts_ns.shape} and {volume.shape}")
    in_order(ts_ns, "ts_ns")
    week = (ts_ns // HOUR_NS + HOURS_SINCE_MONDAY) // HOURS_OF_WEEK
    return ratio(volume, _past_mean(hour_of_week(ts_ns), week, volume))


@compiled
def _past_mean(hour: IntArray, week: IntArray, volume: FloatArray) -> FloatArray:
    """Mean of the known volumes of the same hour in earlier weeks; NaN where there are none."""
    past, n_past = np.zeros(HOURS_OF_WEEK), np.zeros(HOURS_OF_WEEK)  # of the weeks before
    now, n_now = np.zeros(HOURS_OF_WEEK), np.zeros(HOURS_OF_WEEK)  # of the latest week of each hour
    latest = np.full(HOURS_OF_WEEK, -1, dtype=np.int64)
    out = np.empty(len(volume))
    for i in range(len(volume)):
        h = hour[i]
        if week[i] != latest[h]:
            past[h] += now[h]
            n_past[h] += n_now[h]
            now[h], n_now[h], latest[h] = 0.0, 0.0, week[i]
        out[i] = past[h] / n_past[h] if n_past[h] > 0.0 else np.nan
        if not np.isnan(volume[i]):
            now[h] += volume[i]
            n_now[h] += 1.0
    return out
