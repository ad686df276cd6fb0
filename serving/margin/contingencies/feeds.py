"""A price that is doubtful or old margins less well than a good one; both cost."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.contingencies.inputs import not_negative, refuse_out_of_range, refuse_unless_finite

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FeedPolicy:
    """What doubt and age of a price cost.

    ``confidence_threshold``, ``confidence_factor``: Derive's portfolio margin, 0.55 and 1: the charge
    grows with the gap below the threshold, as a fraction of notional.
    ``age_limit_s``: up to which a price counts as fresh; a minute is some hundred updates of a
    venue's feed (judgement).
    ``missing_age_s``: of a price whose age is not known: a day (judgement).

    Raises
    ------
    SettingError
        If a number is out of its range.

    References
    ----------
    github.com/derivexyz/v2-core, PMRM: confThreshold 0.55, confMargin 1. Derive charges one minus
    the confidence as soon as it is below the threshold, which jumps there; this charge does not.
    """

    confidence_threshold: float = 0.55
    confidence_factor: float = 1.0
    age_limit_s: float = 60.0
    missing_age_s: float = 86_400.0

    def __post_init__(self) -> None:
        """Refuse what would lower a margin."""
        refuse_out_of_range(
            "feeds",
            confidence_threshold=0 <= self.confidence_threshold <= 1,
            confidence_factor=not_negative(self.confidence_factor),
            age_limit_s=not_negative(self.age_limit_s),
            missing_age_s=self.age_limit_s <= self.missing_age_s < float("inf"),
        )


def low_confidence(notional_usd: FloatArray, confidence: FloatArray, policy: FeedPolicy) -> FloatArray:
    r"""Charge of each position for doubt, shape (p,), none negative.

    .. math:: C_i = |N_i| \, f \, \max(0, \vartheta - c_i)

    Parameters
    ----------
    notional_usd : shape (p,).
    confidence : of the worst feed that the position's price is made of, 0 where it is not known, shape (p,).
    policy : threshold and factor.

    Raises
    ------
    MarketError
        If a number is not finite or a confidence outside [0, 1].

    Examples
    --------
    >>> low_confidence(np.array([1000.0, 1000.0]), np.array([0.6, 0.5]), FeedPolicy()).round(9)
    array([ 0., 50.])
    """
    refuse_unless_finite("confidence", notional_usd=notional_usd, confidence=confidence)
    if ((confidence < 0) | (confidence > 1)).any():
        raise MarketError(
            "confidence: a feed's confidence lies outside 0 and 1; correct it, or leave it out as missing"
        )
    gap = np.maximum(policy.confidence_threshold - confidence, 0.0)
    return np.abs(notional_usd) * (policy.confidence_factor * gap)


def stale_price(
    notional_usd: FloatArray, loss_frac: FloatArray, age_s: FloatArray, horizon_s: FloatArray, policy: FeedPolicy
) -> FloatArray:
    r"""Charge of each position for the age of its price, shape (p,), none negative.

    The market may have moved since; losses grow with the root of time, so that the horizon is as good as longer:

    .. math:: C_i = |N_i| \, \ell_i \left(\sqrt{1 + \frac{\max(0, a_i - \bar a)}{h_i}} - 1\right)

    Parameters
    ----------
    notional_usd : shape (p,).
    loss_frac : forecast loss over the horizon, fraction of notional, shape (p,).
    age_s : of the oldest price that the position is valued with, the policy's ``missing_age_s`` where it is
        not known, shape (p,).
    horizon_s : margin period of risk, shape (p,).
    policy : limit of age.

    Raises
    ------
    MarketError
        If a number is not finite, an age or loss is negative, or a horizon is not above 0.

    Examples
    --------
    >>> stale_price(np.array([1000.0]), np.array([0.1]), np.array([10_860.0]), np.array([3600.0]), FeedPolicy())
    array([100.])
    """
    refuse_unless_finite("age", notional_usd=notional_usd, loss_frac=loss_frac, age_s=age_s, horizon_s=horizon_s)
    if (age_s < 0).any() or (loss_frac < 0).any() or not (horizon_s > 0).all():
        raise MarketError(
            "age: an age or loss is negative, or a horizon not above 0; correct it, or leave it out as missing"
        )
    longer = np.sqrt(1.0 + np.maximum(age_s - policy.age_limit_s, 0.0) / horizon_s)
    return np.abs(notional_usd) * loss_frac * (longer - 1.0)
