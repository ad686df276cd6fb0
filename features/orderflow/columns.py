"""Names of the columns that a sweep over books gives, and what each means."""

from typing import NamedTuple

from features.errors import SettingError

TOUCH = ("mid", "spread_frac", "microprice_frac")
PER_LEVEL = ("depth_bid", "depth_ask", "notional_bid", "notional_ask", "imbalance", "ofi")
SLOPES = ("slope_bid", "slope_ask")
COSTS = ("cost_buy", "cost_sell")
BANDS = ("depth_bid", "depth_ask")


class Meaning(NamedTuple):
    """What a column or a measure is: a formula in one line, a unit, and where it comes from."""

    formula: str
    unit: str
    source: str


BOOK_COLUMNS: dict[str, Meaning] = {
    "mid": Meaning("m = (b₀ + a₀) / 2", "quote currency", "touch"),
    "spread_frac": Meaning("(a₀ − b₀) / m", "fraction of mid", "touch"),
    "microprice_frac": Meaning(
        "(b₀ qᵃ₀ + a₀ qᵇ₀) / (qᵇ₀ + qᵃ₀) / m − 1", "fraction of mid", "Gatheral & Oomen 2010; Stoikov 2018"
    ),
    "depth_bid": Meaning("Σ qᵇⱼ over the best k levels, or within x bp of m", "base units", "book"),
    "depth_ask": Meaning("Σ qᵃⱼ over the best k levels, or within x bp of m", "base units", "book"),
    "notional_bid": Meaning("Σ bⱼ qᵇⱼ over the best k levels", "quote currency", "book"),
    "notional_ask": Meaning("Σ aⱼ qᵃⱼ over the best k levels", "quote currency", "book"),
    "imbalance": Meaning("(Dᵇ − Dᵃ) / (Dᵇ + Dᵃ), D = depth over k levels", "in [−1, 1]", "Cao, Hansch & Wang 2009"),
    "ofi": Meaning(
        "Σⱼ qᵇⱼ1{bⱼ ≥ bⱼ⁻} − qᵇⱼ⁻1{bⱼ ≤ bⱼ⁻} − qᵃⱼ1{aⱼ ≤ aⱼ⁻} + qᵃⱼ⁻1{aⱼ ≥ aⱼ⁻}, ⁻ = row before",
        "base units per row",
        "Cont, Kukanov & Stoikov 2014; Xu, Gould & Howison 2018",
    ),
    "slope_bid": Meaning("OLS slope of Dⱼ / Dₖ on |bⱼ − m| / m", "1 / fraction of mid", "Ghysels & Nguyen 2019"),
    "slope_ask": Meaning("OLS slope of Dⱼ / Dₖ on |aⱼ − m| / m", "1 / fraction of mid", "Ghysels & Nguyen 2019"),
    "cost_buy": Meaning("Q / (m q(Q)) − 1, q(Q) bought from the asks for Q", "fraction of mid", "walk of the book"),
    "cost_sell": Meaning("1 − Q / (m q(Q)), q(Q) sold to the bids for Q", "fraction of mid", "walk of the book"),
}


def book_columns(
    levels: tuple[int, ...], notionals: tuple[float, ...], bands_bp: tuple[float, ...] = ()
) -> tuple[str, ...]:
    """Names of a sweep's columns in their order: a stem of ``BOOK_COLUMNS``, then the levels, notional or band.

    Parameters
    ----------
    levels : numbers of levels, ascending; the slopes are over the last, and there are none over one level.
    notionals : sizes of trades in quote currency.
    bands_bp : half widths of bands around mid in basis points.

    Raises
    ------
    SettingError
        If there are no levels, or one of the three is not positive and ascending.

    Examples
    --------
    >>> book_columns((1,), (100_000.0,), (2.5,))[3:]  # doctest: +NORMALIZE_WHITESPACE
    ('depth_bid_1', 'depth_ask_1', 'notional_bid_1', 'notional_ask_1', 'imbalance_1', 'ofi_1',
     'cost_buy_100000', 'cost_sell_100000', 'depth_bid_2.5bp', 'depth_ask_2.5bp')
    """
    for name, values in (("levels", levels), ("notionals", notionals), ("bands_bp", bands_bp)):
        if any(a >= b for a, b in zip((0, *values), values, strict=False)):
            raise SettingError(f"{name} are positive and ascending, got {values}")
    if not levels:
        raise SettingError("a sweep over books needs levels, got none; give (1,) for the touch")
    return (
        *TOUCH,
        *(f"{stem}_{k}" for k in levels for stem in PER_LEVEL),
        *(SLOPES if levels[-1] > 1 else ()),
        *(f"{stem}_{notional:.15g}" for notional in notionals for stem in COSTS),
        *(f"{stem}_{band_bp:.15g}bp" for band_bp in bands_bp for stem in BANDS),
    )
