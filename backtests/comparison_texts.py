"""How to read each section of a comparison's page, in plain words."""

VARIANCE = """
How well the variance of the next hours was foreseen; smaller is better, the best are blue. Net of floor: QLIKE less
what a perfect forecast would have, as realised variance is itself an estimate. Skill: how much smaller QLIKE is than
the baseline's, with its 95 % interval. Ex shocks: without the 0.5 % of days that surprised most. DM t: below -2 the
model is better than the baseline beyond chance. MCS p: models below 0.10 are not among the best. Mean RV/f: 1 is
unbiased. Origins: the least share of an instrument's origins that were forecast.
"""
TAILS = """
How well large losses were foreseen. Pinball: mean loss of the eight outer quantiles in basis points of return; CRPS:
of the whole law; FZ0: of 1 % and 2.5 % quantiles with their expected shortfalls, on both sides. An FZ0 smaller by 0.01
is worth about one percent of the scale of a margin.
"""
DOTS = """
In the picture each dot is a model with the 95 % interval of its {what} (the hours and instruments of a day count as
one): blue is better than the baseline beyond chance, red worse, grey open; a triangle at the edge lies further out.
"""
COVERAGE = """
Returns beyond each quantile, in percent, should be as many as its name says. Z2: 0 is right, below 0 the shortfall was
too small. Worst tercile: the largest error of the hit rates at 1 % and at 99 % in calm, middle or stormy times, in
percentage points. Rejected: how many of {n} tests (one for each instrument and level) reject at 5 %, first by Kupiec
(as many hits as there should be), then by Christoffersen's CC (and not in a row) and DQ (and not foreseeable); about
{expected:.1f} of {n} would by chance at one hour{seldom}, fewer at longer horizons, whose tests are conservative; tests
of one instrument fall together. Standing: those left when the share of false rejections is kept at 5 %.
Picture: hits as a multiple of those expected, by level.
"""
EXCURSIONS = """
How far the price went against a position within the hours, not where it ended: what a liquidation meets. Down is
against a long position, up against a short one. Pinball: mean loss of the quantile in basis points, smaller is better.
Beyond: excursions longer than the quantile, in percent; 1 and 0.5 would be right, more is a margin too small.
"""
ZONES = """
The Basel Committee's traffic light: losses beyond the 1 % quantile (of a long position) and the 99 % quantile (of a
short one), over the last {days} days from midnight to midnight. {limits}
"""
ZONE_LIMITS = "Of 250 days up to 4 are green, up to 9 yellow, more are red."
CONDITIONS = """
Is the coverage right at all times, or only in the mean? Hits at 1 % and 99 % as a multiple of those expected: by the
volatility of the day before each origin (calm, middle, stormy third of each instrument's), by hour of the day (UTC,
both sides together), and by year. Red is too many hits, blue is idle margin.
"""
RELIABILITY = """
Share of returns at or below each forecast quantile less its nominal level, in percentage points: zero is right.
{shown} Below, for all models, how many returns fell between two neighbouring quantiles, as a multiple of those
expected.
"""
HITS = """
Hits so far less those expected, of all instruments. A steep rise is a cluster of losses that the model did not
foresee; a long slope downwards is idle margin. On any day a right model is in the grey band with a probability of
95 %; the band allows for hits that come in groups, as windows overlap and prices fall together. {shown}
"""
MURPHY = """
Would another loss tell another story? Every loss that is fair to a forecast is a mixture of elementary losses, one
for each threshold. A curve below zero at all thresholds is better than the baseline under all of them. First the
variance (the area under a curve is the difference in QLIKE) of the best by QLIKE ({by_variance}), then the 1 % and the
99 % quantile of the return of the best by FZ0 ({by_tail}), each by mean rank over the horizons.
"""
COST = """
Seconds of one process, all folds and instruments together, on a scale in which each line is ten times the one before. A
combination costs what its parts cost besides.
"""
MISSING = """
Folds in which a model has no forecast of an instrument, and why; folds in a row for one reason are one line.
"""
NOTHING_MISSING = "There are none: every model forecast every fold of every instrument."
LEAD_MISSING = """
Of the lead before the test {n} are missing (an instrument that had not begun, mostly): biases and tails have less to
remember there. scores.json names them.
"""
UNSCORED = """
These models forecast less than 95 % of the scoreable origins of an instrument at a horizon. They are in no other
table, as all are compared on the windows that all of them forecast.
"""


def told(text: str, **values: object) -> str:
    """A text on one line, its places filled in.

    Examples
    --------
    >>> told("one {what}", what="line")
    'one line'
    """
    return " ".join(text.format(**values).split())
