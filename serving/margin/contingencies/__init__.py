"""Charges for what a scan of scenarios does not see, each by position where it can be."""

from serving.margin.contingencies.basis import BasisPolicy, basis
from serving.margin.contingencies.depeg import DepegPolicy, depeg
from serving.margin.contingencies.feeds import FeedPolicy, low_confidence, stale_price
from serving.margin.contingencies.funding import FundingPolicy, funding
from serving.margin.contingencies.short_options import ShortOptionPolicy, short_option_minimum

__all__ = [
    "BasisPolicy",
    "DepegPolicy",
    "FeedPolicy",
    "FundingPolicy",
    "ShortOptionPolicy",
    "basis",
    "depeg",
    "funding",
    "low_confidence",
    "short_option_minimum",
    "stale_price",
]
