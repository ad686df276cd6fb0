"""The shared test market, calibrated."""

import functools

from serving.margin.objects import MarketSnapshot
from serving.margin.policy import MarginPolicy
from serving.margin.priced_market import price_market
from serving.margin.ranges import Ranges, ranges_of
from serving.margin.sensitivity.account import SensitivityMarket
from serving.margin.sensitivity.crypto import CryptoCalibration, calibrate
from serving.margin.sensitivity.fast import FastMarket
from tests.serving.margin import markets

POLICY = MarginPolicy()


def ranges(snapshot: MarketSnapshot) -> Ranges:
    """Scan ranges over the initial period of risk."""
    return ranges_of(tuple(snapshot.underlyings), [markets.forecasts()], snapshot.as_of_ns, POLICY, POLICY.scan.mpor_s)


def calibration(snapshot: MarketSnapshot) -> CryptoCalibration:
    """With the forecast's correlations."""
    return calibrate(ranges(snapshot), POLICY.scenarios, markets.forecasts().correlation)


def of(snapshot: MarketSnapshot) -> SensitivityMarket:
    """Any snapshot, priced and calibrated."""
    return SensitivityMarket(price_market(snapshot), calibration(snapshot))


@functools.cache
def whole() -> SensitivityMarket:
    """The shared market."""
    return of(markets.market())


@functools.cache
def fast() -> FastMarket:
    """The same with the sums of one contract of every instrument."""
    return FastMarket(whole())
