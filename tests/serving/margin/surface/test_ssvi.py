import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import MarketError
from serving.margin.surface.arbitrage import check_surface
from serving.margin.surface.quotes import SmileQuotes
from serving.margin.surface.ssvi import Kind, Ssvi
from serving.margin.surface.ssvi_fit import fit_ssvi

K = np.linspace(-1.0, 1.0, 21)


def test_a_slice_is_the_formula_of_the_paper() -> None:
    surface, theta = Ssvi("power", rho=-0.4, eta=1.1, gamma=0.35), 0.07
    phi = 1.1 / (theta**0.35 * (1 + theta) ** 0.65)
    root = np.sqrt((phi * K - 0.4) ** 2 + 1 - 0.16)
    np.testing.assert_allclose(
        surface.slice(theta).total_variance(K), theta / 2 * (1 - 0.4 * phi * K + root), rtol=1e-13
    )


def test_the_heston_phi_keeps_its_digits_near_nothing() -> None:
    surface = Ssvi("heston", rho=0.0, eta=2.0)
    for theta in (1e-9, 4.9e-5, 5.1e-5, 0.3):
        x = 2.0 * theta
        terms = sum((-x) ** n / math.factorial(n + 2) for n in range(30))  # the series of (1 - (1 - e^-x)/x)/x
        assert surface.phi(theta) == pytest.approx(terms, rel=1e-9)


@settings(max_examples=60)
@given(
    st.floats(-0.95, 0.95), st.floats(0.05, 1.0), st.floats(0.01, 0.5),
    st.lists(st.floats(1e-4, 1.0), min_size=2, max_size=4, unique=True),
)  # fmt: skip
def test_surfaces_within_the_conditions_have_no_arbitrage(
    rho: float, share: float, gamma: float, thetas: list[float]
) -> None:
    """Theorems 4.1 and 4.2: the conditions suffice for every strike and every rising level."""
    power = Ssvi("power", rho, share * 2 / (1 + abs(rho)) * (1 - 1e-12), gamma)
    heston = Ssvi("heston", rho, (1 + abs(rho)) / 4 / share)
    for surface in (power, heston):
        assert check_surface([surface.slice(theta) for theta in sorted(thetas)]).free


@pytest.mark.parametrize(
    ("kind", "rho", "eta", "gamma"),
    [
        ("power", 0.5, 1.5, 0.4), ("power", 0.0, 1.0, 0.6), ("power", 0.0, 1.0, 0.0), ("power", 1.0, 0.5, 0.4),
        ("power", 0.0, -1.0, 0.4), ("power", math.nan, 1.0, 0.4), ("heston", 0.6, 0.39, 0.5),
    ],
)  # fmt: skip
def test_parameters_outside_the_conditions_are_refused(kind: Kind, rho: float, eta: float, gamma: float) -> None:
    with pytest.raises(MarketError, match="ssvi"):
        Ssvi(kind, rho, eta, gamma)


def test_no_slice_without_variance() -> None:
    with pytest.raises(MarketError, match="total variance"):
        Ssvi("power", 0.0, 1.0).slice(0.0)


def quoted(surface: Ssvi, thetas: list[float], years: list[float]) -> list[SmileQuotes]:
    vols = [surface.slice(theta).vol(K, time) for theta, time in zip(thetas, years, strict=True)]
    return [SmileQuotes(K, vol - 0.005, vol + 0.005, vol) for vol in vols]


@pytest.mark.parametrize("surface", [Ssvi("power", -0.3, 1.2, 0.4), Ssvi("heston", -0.3, 1.5)])
def test_a_fit_finds_the_surface_that_made_the_quotes(surface: Ssvi) -> None:
    thetas, years = [0.01, 0.04, 0.2], [0.05, 0.25, 1.0]
    fit = fit_ssvi(quoted(surface, thetas, years), years, surface.kind)
    np.testing.assert_allclose(fit.thetas, thetas, rtol=1e-4)
    assert fit.rmse_points < 0.01
    assert fit.surface.rho == pytest.approx(surface.rho, abs=2e-3)
    assert fit.surface.eta == pytest.approx(surface.eta, rel=2e-2)


def test_a_falling_level_is_held_up() -> None:
    """Quotes with a calendar arbitrage: what is fitted has none."""
    surface = Ssvi("power", -0.3, 1.2, 0.4)
    fit = fit_ssvi(quoted(surface, [0.04, 0.03, 0.2], [0.1, 0.2, 1.0]), [0.1, 0.2, 1.0])
    assert check_surface(fit.slices).free
    assert fit.rmse_points > 1


def test_an_expiry_without_quotes_is_refused() -> None:
    empty = SmileQuotes(K[:1], np.array([np.nan]), np.array([0.5]), np.array([np.nan]))
    with pytest.raises(MarketError, match="every expiry"):
        fit_ssvi([empty], [0.1])
