"""The one place where time is parsed, rounded and printed.

Time is int64 nanoseconds since 1970 UTC, exchange time (``ts_ns``). Bars are
stamped at their open and known at their close.
"""

from datetime import UTC, datetime

from features.errors import SettingError

NS_PER_S = 1_000_000_000
HOUR_S = 3_600
DAY_S = 86_400
HOUR_NS = HOUR_S * NS_PER_S
DAY_NS = DAY_S * NS_PER_S


def parse_utc(text: str) -> int:
    """Nanoseconds of an ISO-8601 instant; without an offset it is read as UTC.

    Raises
    ------
    SettingError
        If the text is not an ISO-8601 date or time.

    Examples
    --------
    >>> parse_utc("2022-11-09T06:00Z")
    1667973600000000000
    >>> parse_utc("2022-11-09T07:00+01:00") == parse_utc("2022-11-09 06:00")
    True
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SettingError(f"{text!r} is not an ISO-8601 time; write 2022-11-09T06:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * NS_PER_S


def format_utc(ts_ns: int) -> str:
    """ISO-8601 text of an instant, to the second.

    Examples
    --------
    >>> format_utc(1667973600000000000)
    '2022-11-09T06:00:00Z'
    """
    return datetime.fromtimestamp(ts_ns // NS_PER_S, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def floor_to(ts_ns: int, step_ns: int) -> int:
    """Last multiple of ``step_ns`` at or before ``ts_ns``.

    Examples
    --------
    >>> format_utc(floor_to(parse_utc("2022-11-09T06:45Z"), HOUR_NS))
    '2022-11-09T06:00:00Z'
    """
    return ts_ns - ts_ns % step_ns


def day_of(ts_ns: int) -> str:
    """Calendar day in UTC.

    Examples
    --------
    >>> day_of(1667973600000000000)
    '2022-11-09'
    """
    return datetime.fromtimestamp(ts_ns // NS_PER_S, tz=UTC).strftime("%Y-%m-%d")


def month_of(ts_ns: int) -> str:
    """Calendar month in UTC.

    Examples
    --------
    >>> month_of(1667973600000000000)
    '2022-11'
    """
    return datetime.fromtimestamp(ts_ns // NS_PER_S, tz=UTC).strftime("%Y-%m")


def month_starts(first_ns: int, last_ns: int) -> list[int]:
    """First instants of the months that touch ``[first_ns, last_ns]``, the first clipped to ``first_ns``.

    Examples
    --------
    >>> [format_utc(t)[:10] for t in month_starts(parse_utc("2022-01-15"), parse_utc("2022-03-02"))]
    ['2022-01-15', '2022-02-01', '2022-03-01']
    """
    starts = [first_ns]
    moment = datetime.fromtimestamp(first_ns // NS_PER_S, tz=UTC)
    year, month = moment.year, moment.month
    while True:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        start_ns = int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * NS_PER_S
        if start_ns > last_ns:
            return starts
        starts.append(start_ns)
