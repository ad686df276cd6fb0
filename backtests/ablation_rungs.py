"""The ladder of features: what returns, trades and the book tell, told apart by the tables of the families."""

from dataclasses import replace

import numpy as np

from backtests.ablation_plan import ALL, RETURNS
from features.catalogue import LOOKBACK, NUMBERED
from features.errors import SettingError
from features.families.book import BOOK_FAMILIES, BOOK_FAMILIES_OF_N
from features.families.calendar import CALENDAR_FAMILIES
from features.families.flow import FLOW_FAMILIES
from features.families.measured import MEASURED_FAMILIES
from features.families.variance import VARIANCE_FAMILIES
from features.panel import Panel
from features.spec import FeatureSpec

FLOW, BOOK, BOTH = "flow", "book", "both"
TRADES_ON_BOOK = {"effective_spread", "realised_spread"}  # trades held against the book's mid
LADDER = {RETURNS: (), FLOW: (FLOW,), BOOK: (BOOK,), ALL: (FLOW, BOOK, BOTH)}
RUNG_NAMES = {
    RETURNS: "returns only",
    FLOW: "+ trade flow",
    BOOK: "+ book shape",
    ALL: "+ all",
    "": "",
}


def source_of(name: str) -> str:
    """Which table a feature comes from: ``returns``, ``flow``, ``book``, or ``both`` of the last two.

    Raises
    ------
    SettingError
        If it is of another instrument, or of funding and the like.

    Examples
    --------
    >>> [source_of(n) for n in ("log_rv_5m", "log_quote_60s", "ofi_5_60s", "log_spread_60s", "effective_spread_15m")]
    ['returns', 'flow', 'book', 'book', 'both']
    """
    match = LOOKBACK.fullmatch(name)
    stem = match["stem"] if match else name
    numbered = NUMBERED.fullmatch(stem)
    if stem in BOOK_FAMILIES or (numbered and numbered["stem"] in BOOK_FAMILIES_OF_N):
        return BOOK
    if stem in TRADES_ON_BOOK:
        return BOTH
    if stem in FLOW_FAMILIES:
        return FLOW
    if stem in VARIANCE_FAMILIES or stem in MEASURED_FAMILIES or stem in CALENDAR_FAMILIES:
        return RETURNS
    raise SettingError(f"feature {name!r} is none of returns, trades or the book; leave it out of an ablation's spec")


def ladder_of(spec: FeatureSpec) -> dict[str, tuple[str, ...]]:
    """Features of each rung, in the spec's order; every rung holds the returns.

    Raises
    ------
    SettingError
        If a rung adds nothing to the returns, or the returns have no ``log_rv``.

    Examples
    --------
    >>> spec = FeatureSpec(bar_s=1, every_s=1, price="mid", features=("log_rv_60s", "signed_60s", "log_spread_60s"))
    >>> ladder_of(spec)["flow"], len(ladder_of(spec)["all"])
    (('log_rv_60s', 'signed_60s'), 3)
    """
    source = {name: source_of(name) for name in spec.features}
    rungs = {
        rung: tuple(name for name in spec.features if source[name] in (RETURNS, *added))
        for rung, added in LADDER.items()
    }
    if not any(name.startswith("log_rv_") for name in rungs[RETURNS]):
        raise SettingError("an ablation's spec needs a log_rv: variance of the returns is what all models begin with")
    for rung in (FLOW, BOOK):
        if len(rungs[rung]) == len(rungs[RETURNS]):
            raise SettingError(f"the spec has no feature of the {rung}; there is nothing to compare")
    return rungs


def narrowed(panel: Panel, features: tuple[str, ...]) -> Panel:
    """The same origins and outcomes with some of the features."""
    columns = [panel.spec.features.index(name) for name in features]
    return replace(panel, spec=replace(panel.spec, features=features), values=np.asarray(panel.values)[:, columns])
