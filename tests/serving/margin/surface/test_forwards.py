import math

import numpy as np
import pytest

from features.errors import MarketError
from serving.margin.surface.forwards import carried, implied_forward

FORWARD, STRIKES = 60_250.0, np.arange(50_000.0, 70_001.0, 2_000.0)


def calls(vol: float, years: float) -> np.ndarray:
    deviation = vol * math.sqrt(years)
    upper = np.log(FORWARD / STRIKES) / deviation + deviation / 2
    normal = [np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in d]) for d in (upper, upper - deviation)]
    return np.asarray(FORWARD * normal[0] - STRIKES * normal[1])


def test_parity_gives_the_forward_that_black_was_given() -> None:
    call = calls(0.6, 0.1)
    put = call - FORWARD + STRIKES
    assert implied_forward(STRIKES, call, put, "usd") == pytest.approx(FORWARD, rel=1e-12)
    assert implied_forward(STRIKES, call / FORWARD, put / FORWARD) == pytest.approx(FORWARD, rel=1e-12)


def test_one_wrong_price_does_not_move_the_median() -> None:
    call = calls(0.6, 0.1)
    put = call - FORWARD + STRIKES
    call[5] += 900.0
    call[3] = math.nan
    assert implied_forward(STRIKES, call, put, "usd") == pytest.approx(FORWARD, rel=1e-12)


def test_no_pair_no_forward() -> None:
    with pytest.raises(MarketError, match="carried"):
        implied_forward(STRIKES, calls(0.6, 0.1), np.full(len(STRIKES), math.nan))


def test_missing_forwards_grow_at_the_known_rate() -> None:
    years = np.array([0.1, 0.5, 1.0, 2.0])
    true = 60_000 * np.exp(0.08 * years)
    known = np.where([False, True, False, False], true, np.nan)
    np.testing.assert_allclose(carried(years, known, 60_000.0), true, rtol=1e-13)
    two = np.where([True, True, False, False], true, np.nan)
    np.testing.assert_allclose(carried(years, two), true, rtol=1e-13)
    np.testing.assert_allclose(carried(years, known), np.full(4, true[1]), rtol=1e-13)
    np.testing.assert_array_equal(carried(years, true, 1.0), true)
    with pytest.raises(MarketError, match="no forward"):
        carried(years, np.full(4, math.nan))
