import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.optimize import least_squares

from features.errors import ExpiredError, MarketError
from serving.margin.surface.arbitrage import butterfly, calendar
from serving.margin.surface.fit import SliceFit, fit_slice
from serving.margin.surface.problem import scaled_in_time
from serving.margin.surface.quotes import SmileQuotes, usable
from serving.margin.surface.repair import is_free, lifted
from serving.margin.surface.surface import fit_surface
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]

TRUE = RawSvi(a=0.008, b=0.08, rho=-0.3, m=0.02, sigma=0.15)
VOGT = RawSvi(a=-0.0410, b=0.1331, rho=0.3060, m=0.3586, sigma=0.4153)
YEARS = 0.2
K = np.linspace(-0.6, 0.6, 25)
NONE = math.nan

smiles = st.builds(
    lambda lift, b, rho, m, sigma: RawSvi(lift - b * sigma * (1 - rho * rho) ** 0.5, b, rho, m, sigma),
    st.floats(1e-4, 0.3),
    st.floats(1e-3, 0.9),
    st.floats(-0.9, 0.9),
    st.floats(-0.5, 0.5),
    st.floats(0.02, 1.0),
)


def quoted(vol: FloatArray, k: FloatArray = K, half: float = 0.005) -> SmileQuotes:
    return SmileQuotes(k, vol - half, vol + half, vol)


def given_quotes(*rows: tuple[float, float, float, float]) -> SmileQuotes:
    k, bid, ask, mark = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    return SmileQuotes(k, bid, ask, mark)


def test_quotes_without_noise_give_their_smile_back() -> None:
    fit = fit_slice(quoted(TRUE.vol(K, YEARS)), YEARS)
    np.testing.assert_allclose(fit.svi.vol(K, YEARS), TRUE.vol(K, YEARS), atol=2e-6)
    np.testing.assert_allclose(fit.svi.array, TRUE.array, rtol=5e-3)
    assert (fit.source, fit.quotes, fit.inside_share, fit.notes) == ("quotes", 25, 1.0, ())
    assert fit.free


def test_no_solver_finds_a_lower_cost_from_the_true_smile() -> None:
    """Noisy quotes, no arbitrage near: scipy's solver, started at the truth and free, does not beat the fit."""
    noise = 0.01 * np.sin(np.arange(25) * 2.4)
    data = usable(quoted(TRUE.vol(K, YEARS) + noise, half=0.02))

    def miss(x: FloatArray) -> FloatArray:
        w = x[0] + x[1] * (x[2] * (K - x[3]) + np.sqrt((K - x[3]) ** 2 + x[4] ** 2))
        return np.asarray(100 * data.weight * (np.sqrt(np.maximum(w, 1e-9) / YEARS) - data.vol))

    peer = least_squares(miss, TRUE.array, xtol=1e-12, ftol=1e-12)
    fit = fit_slice(quoted(TRUE.vol(K, YEARS) + noise, half=0.02), YEARS)
    assert fit.weighted_rmse_points**2 <= 2 * peer.cost * (1 + 1e-3)
    assert fit.weighted_rmse_points == pytest.approx(math.sqrt(2 * peer.cost), rel=1e-3)


def test_quotes_that_can_be_arbitraged_give_a_smile_that_cannot() -> None:
    k = np.linspace(-1, 1.2, 40)
    fit = fit_slice(quoted(VOGT.vol(k, 1.0), k), 1.0)
    assert butterfly(fit.svi).free
    assert 0.01 < fit.rmse_points < 1.0


def test_an_expiry_is_not_passed_below() -> None:
    """Quotes 5 points below the expiry before: the fit stops at it."""
    before = fit_slice(quoted(TRUE.vol(K, YEARS)), YEARS).svi
    lower = quoted(np.sqrt(TRUE.total_variance(K) / 0.21) - 0.05)
    fit = fit_slice(lower, 0.21, previous=before)
    assert fit.calendar is not None
    assert fit.free
    assert not calendar(before, fit_slice(lower, 0.21).svi).free
    assert fit.rmse_points == pytest.approx(5.0, abs=0.5)


def test_the_same_quotes_give_the_same_bits() -> None:
    vol = TRUE.vol(K, YEARS) + 0.01 * np.sin(np.arange(25) * 2.4)
    first, second = (fit_slice(quoted(vol), YEARS).svi for _ in range(2))
    shuffled = np.argsort(np.cos(np.arange(25)))
    third = fit_slice(quoted(vol[shuffled], K[shuffled]), YEARS).svi
    assert first == second == third


def test_one_quote_is_a_flat_smile() -> None:
    fit = fit_slice(given_quotes((0.1, 0.49, 0.51, NONE)), YEARS)
    np.testing.assert_allclose(fit.svi.vol(K, YEARS), 0.5)
    assert fit.source == "flat"
    assert fit.notes == ("one volatility: a flat smile",)


def test_the_same_volatility_everywhere_is_a_flat_smile() -> None:
    fit = fit_slice(quoted(np.full(25, 0.6)), YEARS)
    assert (fit.source, fit.svi.b) == ("flat", 0.0)
    assert fit.rmse_points < 1e-9


def test_one_quote_moves_the_level_of_the_neighbour() -> None:
    fit = fit_slice(given_quotes((0.0, 0.69, 0.71, NONE)), YEARS, shape=(TRUE, YEARS))
    ratio = fit.svi.total_variance(K) / TRUE.total_variance(K)
    assert fit.svi.vol(np.array(0.0), YEARS) == pytest.approx(0.7, abs=1e-3)
    assert np.ptp(ratio) < 0.12 * ratio.mean()
    assert "held to the neighbour's" in fit.notes[0]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("neighbour", [None, (TRUE, YEARS)])
def test_few_quotes_are_met_and_the_rest_held(count: int, neighbour: tuple[RawSvi, float] | None) -> None:
    k = np.linspace(-0.2, 0.2, count)
    fit = fit_slice(quoted(0.6 - 0.1 * k, k), YEARS, shape=neighbour)
    assert fit.source == "shape"
    assert fit.max_error_points < 0.5  # the quotes' half spread
    assert f"{count} strikes" in fit.notes[0]
    assert fit.free
    assert (fit.svi.vol(K, YEARS) < 1.2).all()


@pytest.mark.parametrize("side", [-1, 1])
def test_quotes_on_one_side_hold_the_other_wing(side: int) -> None:
    k = side * np.linspace(0.05, 0.5, 12)
    fit = fit_slice(quoted(TRUE.vol(k, YEARS), k), YEARS, shape=(TRUE, YEARS))
    assert "one side" in fit.notes[0]
    np.testing.assert_allclose(fit.svi.vol(K, YEARS), TRUE.vol(K, YEARS), atol=0.01)
    alone = fit_slice(quoted(TRUE.vol(k, YEARS), k), YEARS)
    assert alone.free
    assert alone.max_error_points < 0.5


def test_useless_quotes_are_left_out_and_told() -> None:
    rows = [(k, v - 0.01, v + 0.01, NONE) for k, v in zip(K, TRUE.vol(K, YEARS), strict=True)]
    dirty = [*rows, (NONE, 0.5, 0.6, 0.5), (0.1, 0.7, 0.6, NONE), (0.2, NONE, NONE, NONE), (0.3, NONE, 0.9, NONE)]
    fit = fit_slice(given_quotes(*dirty), YEARS)
    clean = fit_slice(given_quotes(*rows), YEARS)
    assert fit.svi == clean.svi
    assert fit.notes == (
        "1 of 29 quotes left out: bid above ask",
        "3 of 29 quotes left out: no two sides and no mark",
    )


def test_a_bid_of_nothing_leaves_the_mark_little_weight() -> None:
    rows = [(k, v - 0.01, v + 0.01, NONE) for k, v in zip(K, TRUE.vol(K, YEARS), strict=True)]
    lonely = [(-0.9, 0.0, 1.9, 1.2), (-1.0, 0.0, 2.4, 1.4)]
    fit = fit_slice(given_quotes(*rows, *lonely), YEARS)
    assert "2 of 27 quotes have one side" in fit.notes[0]
    assert fit.quotes == 27
    assert fit.rmse_points < 0.3  # over the firm ones
    data = usable(given_quotes(*rows, *lonely))
    assert data.weight[:2].max() < 0.03 * data.weight[5]
    assert float(np.sum(data.weight**2)) == pytest.approx(1.0)


def test_no_quote_borrows_the_neighbour() -> None:
    nothing = given_quotes((0.0, NONE, NONE, NONE))
    fit = fit_slice(nothing, 0.05, shape=(TRUE, YEARS))
    assert fit.source == "borrowed"
    assert fit.notes[-1] == "no usable quote: the neighbour's smile"
    np.testing.assert_allclose(
        fit.svi.vol(K / 2, 0.05), TRUE.vol(K, YEARS), rtol=1e-12
    )  # root of a quarter of the time
    assert math.isnan(fit.rmse_points)
    with pytest.raises(MarketError, match="no neighbouring expiry"):
        fit_slice(nothing, 0.05)


def test_wrong_questions_are_refused() -> None:
    with pytest.raises(ExpiredError, match="expired"):
        fit_slice(quoted(np.full(25, 0.6)), 0.0)
    with pytest.raises(MarketError, match="per cent"):
        quoted(np.full(25, 60.0))
    with pytest.raises(MarketError, match="one length"):
        SmileQuotes(K, K, K[1:], K)


@given(smiles, st.floats(0.01, 1.0))
def test_shortening_a_smile_brings_no_butterfly(smile: RawSvi, ratio: float) -> None:
    short = scaled_in_time(smile, ratio)
    k = smile.m + smile.sigma * np.sinh(np.linspace(-6, 6, 201))
    np.testing.assert_allclose(
        short.total_variance(k * math.sqrt(ratio)), ratio * smile.total_variance(k), rtol=1e-9, atol=1e-13
    )
    assert (short.density_factor(k * math.sqrt(ratio)) >= smile.density_factor(k) - 1e-7).all()


@settings(max_examples=60)
@given(smiles, smiles)
def test_lifting_ends_every_arbitrage_and_only_lifts(smile: RawSvi, before: RawSvi) -> None:
    steepest = max(s.b * (1 + abs(s.rho)) for s in (smile, before))
    assume(steepest < 1.9)
    safe, added = lifted(smile, before)
    assert is_free(safe, before)
    k = smile.m + smile.sigma * np.sinh(np.linspace(-6, 6, 201))
    assert (safe.total_variance(k) >= before.total_variance(k) - 1e-9).all()
    assert (safe.total_variance(k) >= smile.total_variance(k) - 1e-9).all()
    assert added >= -1e-9


def test_wings_beyond_lee_are_cut() -> None:
    steep = RawSvi(a=0.5, b=1.4, rho=-0.6, m=0.0, sigma=0.5)
    safe, _ = lifted(steep, None)
    assert is_free(safe, None)
    assert safe.left_slope < 2 < steep.left_slope
    assert safe.right_slope == pytest.approx(steep.right_slope)


def surface_of(vols: list[FloatArray | None], years: list[float]) -> list[SliceFit]:
    nothing = given_quotes((0.0, NONE, NONE, NONE))
    return list(fit_surface([nothing if v is None else quoted(v) for v in vols], years).slices)


@pytest.mark.parametrize("gap", [0, 1, 2])
def test_an_expiry_without_quotes_takes_its_neighbours_shape(gap: int) -> None:
    years = [0.1, 0.2, 0.4]
    vols: list[FloatArray | None] = [scaled_in_time(TRUE, t / YEARS).vol(K, t) for t in years]
    vols[gap] = None
    slices = surface_of(vols, years)
    assert [s.source for s in slices] == ["borrowed" if i == gap else "quotes" for i in range(3)]
    assert all(s.free for s in slices)
    full = scaled_in_time(TRUE, years[gap] / YEARS)
    np.testing.assert_allclose(slices[gap].svi.vol(K, years[gap]), full.vol(K, years[gap]), atol=0.004)


def test_a_surface_of_single_quotes_is_flat_at_each_expiry() -> None:
    own = [given_quotes((0.1, v - 0.01, v + 0.01, NONE)) for v in (0.5, 0.6, 0.55)]
    fit = fit_surface(own, [0.1, 0.2, 0.3])
    assert [s.source for s in fit.slices] == ["flat"] * 3
    assert fit.check.free


vols_or_nothing = st.one_of(st.floats(1e-3, 4.0), st.sampled_from([0.0, NONE, math.inf, -1.0]))
any_quotes = st.lists(
    st.tuples(st.one_of(st.floats(-3, 3), st.just(NONE)), vols_or_nothing, vols_or_nothing, vols_or_nothing),
    min_size=1, max_size=9,
).map(lambda rows: given_quotes(*rows))  # fmt: skip


@settings(max_examples=100)
@given(st.lists(any_quotes, min_size=1, max_size=3), st.floats(1e-4, 0.5))
def test_any_quotes_give_a_free_surface_or_a_refusal(quotes: list[SmileQuotes], first: float) -> None:
    years = [first * 2**i for i in range(len(quotes))]
    if all(len(usable(own).k) == 0 for own in quotes):
        with pytest.raises(MarketError, match="no usable quote"):
            fit_surface(quotes, years)
        return
    fit = fit_surface(quotes, years)
    assert fit.check.free
    assert np.isfinite(fit.params).all()
    assert (fit.vol(K, first * 1.5) > 0).all()


def test_between_expiries_total_variance_is_linear_and_beyond_volatility_stays() -> None:
    years = [0.1, 0.4]
    fit = fit_surface([quoted(scaled_in_time(TRUE, t / YEARS).vol(K, t)) for t in years], years)
    near, far = (s.svi.total_variance(K) for s in fit.slices)
    np.testing.assert_allclose(fit.total_variance(K, 0.2), near + (far - near) / 3, rtol=1e-14)
    np.testing.assert_allclose(fit.total_variance(K, 0.1), near, rtol=1e-14)
    np.testing.assert_allclose(fit.vol(K, 0.01), fit.slices[0].svi.vol(K, 0.1), rtol=1e-14)
    np.testing.assert_allclose(fit.vol(K, 3.0), fit.slices[1].svi.vol(K, 0.4), rtol=1e-14)
    with pytest.raises(ExpiredError):
        fit.vol(K, 0.0)


def test_surfaces_out_of_order_are_refused() -> None:
    one = quoted(np.full(25, 0.6))
    with pytest.raises(MarketError, match="do not rise"):
        fit_surface([one, one], [0.2, 0.1])
    with pytest.raises(MarketError, match="one for each"):
        fit_surface([one], [0.2, 0.1])
