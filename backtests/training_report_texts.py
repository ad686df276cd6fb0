"""How to read each section of a training run's page, in plain words; see also :mod:`backtests.comparison_texts`."""

LOSSES = """
Mean training loss of each epoch, and where days were kept for validation, QLIKE on them less that of a perfect
forecast: a line a network, told apart by its seed. The weights of the best validation are kept, or the last ones.
"""
SKILLS = """
The network held against each classical model on the same windows, positive is better: the share of the other's QLIKE
and tail pinball that it saves, with an interval of 95 % in which the hours and instruments of a day count as one, and
its FZ0 less the other's, where negative is better. DM t: below -2 the network is better beyond chance, above 2 worse.
Where t and interval disagree, t counts: `margincast promote` decides by that test. The interval, and by it the
picture's colours (blue: all of it is better, red: worse, grey: neither), draws blocks of ten days; t rests on the mean
difference of a day and its correlation over many days. Few days, or a few stormy ones, move the two apart, and an
interval on one side of zero beside a t between -2 and 2 is no proof.
"""
COVERAGE = """
Returns beyond each quantile of the network, in percent, should be as many as its name says; and beyond the 1 % and the
99 % quantile in the calm, the middle and the stormy third of each instrument's hours (volatility of the day before).
"+track": each quantile follows its own hits, online.
"""
RELIABILITY = """
Share of returns at or below each quantile of {shown} less its nominal level, in percentage points: zero is right. Then,
for all models, how many returns fell between two neighbouring quantiles, as a multiple of those expected (the
probability integral transform: 1 everywhere if the law is right). Last, hits so far less those expected: a steep rise
is a cluster of losses that was not foreseen; the band holds a right model on any day with a probability of 95 %.
"""
IMPORTANCES = """
What the forecast hangs on, by horizon: the {shown} inputs that weigh most, on a log scale from white (a hundredth of
the largest, or less) to blue. Above them what all inputs of one subject weigh together. {how}
"""
HOW = {
    "permutation": "Permutation: how much QLIKE rises when the input's values are shuffled in time.",
    "integrated gradients": "Integrated gradients: the mean size of an input's share in what the network adds.",
}
UNSEEN = """
Each symbol as a network forecasts it that was trained without it, against the network that knew its past and the
classical models fitted on it; by its own scaled history alone the first can tell how volatile it is. Skill is over
{baseline}, with its 95 % interval.
"""
SHORT_LEAD = "The lead is too short to learn tails from: until enough windows have ended they are the models' own."
COST = """
Seconds of one process, all instruments together: training or fitting once, forecasting what was held out three times
over, which is how a look ahead is found, and calibrating. The scale is logarithmic.
"""
MISSING = "Instruments that a model could not forecast, and why."
LEAD = """
Trained on what was known by {known_until}. Forecasts from {forecast_from} on are none that training saw; those of the
first {lead_days:.0f} days are the lead, from which biases and tails are learned, and what is scored begins at
{test_from} and ends at {test_to} (UTC). Every model was fitted once, on the same past, and calibrated alike.
"""
