"""Four levels of equity, the state between them, and what to post; whole cents throughout.

Levels are integers of cents, so that a level is the same figure on every machine: call and release
are shares of the requirements in basis points, rounded up. All figures work on one account or on
arrays of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.errors import ForecastError, SettingError
from serving.margin.money import CENT, LARGEST_USD, exact, usd
from serving.margin.objects.result import Levels

IntArray = NDArray[np.int64]
Cents = TypeVar("Cents", int, IntArray)  # of one account, or of many
WHOLE: Final = 10_000  # basis points
LARGEST_CENTS: Final = int(LARGEST_USD / CENT)
STATES: Final = ("liquidation", "call", "reduce-only", "open", "free")


@dataclass(frozen=True, slots=True)
class LevelPolicy:
    """Where call and release stand, basis points.

    ``call_bp``: of the way from maintenance to initial margin. Half, as judgement: a call must come
    while there is time to answer it.
    ``release_bp``: of initial margin, above which equity may be withdrawn; 11 000 keeps a tenth, so
    that a withdrawal is not followed by a call (judgement).

    Raises
    ------
    SettingError
        If call does not lie between the margins or release not above initial margin.
    """

    call_bp: int = 5_000
    release_bp: int = 11_000

    def __post_init__(self) -> None:
        """Refuse levels out of order."""
        if not 0 < self.call_bp < WHOLE < self.release_bp <= 10 * WHOLE:
            raise SettingError(
                f"levels: call_bp {self.call_bp} and release_bp {self.release_bp}; "
                f"give 0 < call_bp < {WHOLE} < release_bp <= {10 * WHOLE}"
            )


@dataclass(frozen=True, slots=True)
class LevelsInCents:
    """Levels of accounts, cents, shape (n,) each; ``state`` indexes ``STATES``."""

    maintenance: IntArray
    call: IntArray
    initial: IntArray
    release: IntArray
    top_up: IntArray
    excess: IntArray
    state: IntArray


def levels_in_cents(maintenance: IntArray, initial: IntArray, equity: IntArray, policy: LevelPolicy) -> LevelsInCents:
    r"""Levels of many accounts.

    .. math:: call = MM + \lceil c \, (IM - MM) \rceil, \quad release = \lceil r \, IM \rceil

    Where the margins are a cent or two apart the upper levels move up, so that
    maintenance < call < initial < release wherever there is a requirement; all are 0 where there is none.
    State: ``free`` at release and above (what is above may be withdrawn), ``open`` at initial,
    ``reduce-only`` at call, ``call`` at maintenance, ``liquidation`` below. Without a requirement an
    account is free while its equity is not negative.

    Parameters
    ----------
    maintenance, initial, equity : cents, int64, shape (n,); equity may be negative.
    policy : call and release.

    Raises
    ------
    ForecastError
        If a requirement is negative or larger than what is counted, or maintenance is above initial margin.

    Examples
    --------
    >>> cents = [np.array([x]) for x in (10_000, 20_000, 14_999)]
    >>> found = levels_in_cents(*cents, LevelPolicy())
    >>> found.call, found.release, found.top_up, STATES[found.state[0]]
    (array([15000]), array([22000]), array([5001]), 'call')
    """
    if (maintenance < 0).any() or (maintenance > initial).any() or (initial > LARGEST_CENTS).any():
        raise ForecastError(
            "levels: a requirement is negative or absurd, or maintenance is above initial margin; correct the rule"
        )
    return LevelsInCents(*_placed(maintenance, initial, equity, policy, np.maximum))


def levels(maintenance: Decimal, initial: Decimal, equity: Decimal, policy: LevelPolicy) -> Levels:
    """Levels of one account.

    Parameters
    ----------
    maintenance, initial : requirements, USD, whole cents (rounded up before).
    equity : value of collateral after haircuts, less debts, with profit and loss; whole cents (rounded down before).
    policy : call and release.

    Raises
    ------
    ForecastError
        If an amount is not whole cents, or as ``levels_in_cents``.

    Examples
    --------
    >>> found = levels(Decimal("100.00"), Decimal("200.00"), Decimal("149.99"), LevelPolicy())
    >>> found.state, found.top_up, found.excess
    ('call', Decimal('50.01'), Decimal('0.00'))
    """
    required_mm, required_im, held = (_cents(amount) for amount in (maintenance, initial, equity))
    if not 0 <= required_mm <= required_im:
        raise ForecastError(
            "levels: a requirement is negative, or maintenance is above initial margin; correct the rule"
        )
    at_mm, call, at_im, release, top_up, excess, state = _placed(required_mm, required_im, held, policy, max)
    return Levels(
        maintenance=usd(at_mm),
        call=usd(call),
        initial=usd(at_im),
        release=usd(release),
        equity=equity,
        top_up=usd(top_up),
        excess=usd(excess),
        state=STATES[state],
    )


def _placed(
    maintenance: Cents, initial: Cents, equity: Cents, policy: LevelPolicy, largest: Callable[..., Cents]
) -> tuple[Cents, Cents, Cents, Cents, Cents, Cents, Cents]:
    """Levels, top-up, excess and state; integers of one account with ``max``, arrays with ``np.maximum``."""
    needed = (initial > 0) * 1
    call = largest(maintenance + _share_up(initial - maintenance, policy.call_bp), maintenance + needed)
    higher = largest(initial, call + needed)
    release = _share_up(higher, policy.release_bp)  # a share above the whole, rounded up: at least a cent more
    state = (equity >= maintenance) * 1 + (equity >= call) * 1 + (equity >= higher) * 1 + (equity >= release) * 1
    return maintenance, call, higher, release, largest(higher - equity, 0), largest(equity - release, 0), state


def _share_up(amount: Cents, share_bp: int) -> Cents:
    """Share of amounts in cents, rounded up; the division comes first, so that no product overflows."""
    whole, rest = amount // WHOLE, amount % WHOLE
    return whole * share_bp - (-rest * share_bp // WHOLE)


def _cents(amount: Decimal) -> int:
    """Whole cents of an amount."""
    cents = exact(amount, "a level").scaleb(2)
    if cents != int(cents):
        raise ForecastError(f"levels: {amount} is not whole cents; round requirements up and equity down before")
    return int(cents)
