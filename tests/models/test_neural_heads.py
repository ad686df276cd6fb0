"""Every head: no law that could not be, closed forms against integrals, base laws against residuals."""

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import Tensor

from features.errors import SettingError, ShortHistoryError
from models.base import LEVELS
from models.neural import HEADS
from models.neural.heads.base import Head
from models.neural.heads.gpd import TAIL
from models.neural.heads.pareto import INNER, Pareto
from models.neural.heads.quantiles import Quantiles
from models.neural.heads.skew_t import MOST_SKEW, SkewT
from models.neural.heads.student import (
    LEAST_INDEX,
    LEAST_LEVEL,
    MOST_INDEX,
    exact_shortfall,
    t_log_density,
    t_quantile,
    t_shortfall,
)
from models.tails import normal_quantiles, normal_shortfall
from models.tails.skew_t import skew_t_quantiles, skew_t_shortfall

NAMES = sorted(HEADS)
WITH_DENSITY = ("pareto", "skew_t")
SIDE = torch.tensor([1.0 if p > 0.5 else -1.0 for p in LEVELS])


def made(name: str, n_horizons: int = 2, **options: float) -> Head:
    return HEADS[name](options, n_horizons)


def residuals(n: int = 40_000) -> np.ndarray:
    """Of a skewed law with heavy tails, and of a shifted t."""
    rng = np.random.default_rng(3)
    uniform = rng.uniform(size=n)
    skewed = skew_t_quantiles(tuple(uniform), 4.0, -0.15)
    return np.stack([skewed, 0.1 + 0.9 * stats.t.ppf(rng.uniform(size=n), 5) / np.sqrt(5 / 3)], axis=1)


def wild(head: Head, seed: int, scale: float, batch: int = 200) -> Tensor:
    return scale * torch.randn(batch, 2, head.n_outputs, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.5, 3.0, 50.0])
@pytest.mark.parametrize("measured", [False, True])
def test_whatever_the_outputs_the_law_is_one(name: str, scale: float, measured: bool) -> None:
    head = made(name, shape_bound=2.0)
    if measured:
        head.measure(residuals(2_000))
    quantiles, shortfall = head(wild(head, 1, scale))
    assert quantiles.shape == shortfall.shape == (200, 2, len(LEVELS))
    assert (quantiles.diff(dim=-1) > 0).all()
    assert (SIDE * (shortfall - quantiles) > 0).all()
    assert (shortfall[..., :6].diff(dim=-1) > 0).all()  # a mean further out is further out
    assert (shortfall[..., 6:].diff(dim=-1) > 0).all()
    spread = quantiles.std(dim=0)
    assert (spread > 1e-3).all()  # outputs do move every quantile: else nothing was tried


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_means_beyond_are_those_of_some_law(name: str, seed: int) -> None:
    """Between two levels the mean lies between the two quantiles: p2 e2 - p1 e1 = (p2 - p1) m, q1 <= m <= q2."""
    head = made(name).double()
    quantiles, shortfall = head(wild(head, seed, 3.0).double())
    level = torch.tensor(LEVELS, dtype=torch.float64)
    for q, e, p in (
        (quantiles[..., :6], shortfall[..., :6], level[:6]),
        (-quantiles.flip(-1)[..., :5], -shortfall.flip(-1)[..., :5], 1 - level.flip(0)[:5]),
    ):
        between = (p * e).diff(dim=-1) / p.diff()
        assert (between >= q[..., :-1] - 1e-5).all()
        assert (between <= q[..., 1:] + 1e-5).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_base_law_is_that_of_the_residuals(name: str) -> None:
    head, z = made(name), residuals()
    head.measure(z)
    quantiles, shortfall = head(torch.zeros(1, 2, head.n_outputs))
    close = 0.04 if name == "skew_t" else 0.03  # a law of four numbers, and the luck of 200 values beyond 0.5 %
    for h in range(2):
        expected = np.quantile(z[:, h], LEVELS)
        np.testing.assert_allclose(quantiles[0, h], expected, rtol=close, atol=0.01)
        beyond = [
            z[z[:, h] <= q, h].mean() if p <= 0.5 else z[z[:, h] >= q, h].mean()
            for p, q in zip(LEVELS, expected, strict=True)
        ]
        np.testing.assert_allclose(shortfall[0, h], beyond, rtol=2 * close, atol=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_a_base_law_needs_residuals(name: str) -> None:
    z = residuals(60)
    z[20:, 1] = np.nan
    with pytest.raises(ShortHistoryError, match="horizon 1 needs 50 residuals, there are 20"):
        made(name).measure(z)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.0, 1.0, 50.0])
def test_gradients_are_finite(name: str, scale: float) -> None:
    head = made(name)
    out = wild(head, 4, scale).requires_grad_()
    quantiles, shortfall = head(out)
    loss = quantiles.square().sum() + shortfall.square().sum()
    if name in WITH_DENSITY:
        z = torch.linspace(-40, 40, 400).view(200, 2).requires_grad_()
        loss = loss - head.log_density(out, z).sum()
        assert torch.isfinite(torch.autograd.grad(loss, z, retain_graph=True)[0]).all()
    (slope,) = torch.autograd.grad(loss, out)
    assert torch.isfinite(slope).all()
    assert scale > 1 or (slope.abs().sum(dim=(0, 1)) > 0).all()  # every output has its say


@pytest.mark.parametrize("name", WITH_DENSITY)
def test_quantiles_and_shortfalls_are_integrals_of_the_density(name: str) -> None:
    head = made(name, 1).double()
    out = wild(head, 7, 0.7, batch=3).double()[:, :1]
    u = np.linspace(-22, 22, 100_001)
    z, weight = np.sinh(u), np.cosh(u)
    quantiles, shortfall = (part[:, 0].numpy() for part in head(out))
    for k in range(len(out)):
        rows = out[k].expand(len(u), 1, -1)
        density = head.log_density(rows, torch.from_numpy(z)[:, None])[:, 0].exp().numpy() * weight
        mass = integrate.cumulative_trapezoid(density, u, initial=0)
        moment = integrate.cumulative_trapezoid(density * z, u, initial=0)
        assert mass[-1] == pytest.approx(1, abs=2e-4)
        for i, p in enumerate(LEVELS):
            below, part = np.interp(quantiles[k, i], z, mass), np.interp(quantiles[k, i], z, moment)
            assert below == pytest.approx(p, abs=1e-4)
            mean = part / p if p <= 0.5 else (moment[-1] - part) / (1 - p)
            assert shortfall[k, i] == pytest.approx(mean, rel=2e-3, abs=1e-3)


def test_a_head_without_a_density_says_so() -> None:
    head = made("quantiles")
    with pytest.raises(NotImplementedError, match="set the density weight to 0"):
        head.log_density(torch.zeros(1, 2, head.n_outputs), torch.zeros(1, 2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_means_and_density_of_t_are_scipys(dtype: torch.dtype) -> None:
    level, index = np.geomspace(LEAST_LEVEL, 0.5, 150), np.linspace(LEAST_INDEX, MOST_INDEX, 120)
    at = torch.tensor(level, dtype=dtype).expand(120, 150), torch.tensor(index, dtype=dtype)
    np.testing.assert_allclose(t_quantile(*at), stats.t.ppf(level, 1 / index[:, None]), atol=1e-5, rtol=0)
    np.testing.assert_allclose(t_shortfall(*at), exact_shortfall(level, index[:, None]), atol=1e-5, rtol=0)
    x = torch.linspace(-8, 8, 120, dtype=dtype)
    logs = t_log_density(x, at[1])
    np.testing.assert_allclose(logs, stats.t.logpdf(x.numpy().astype(float), 1 / index), atol=5e-5)
    mean = integrate.quad(lambda u: stats.t.ppf(u, 1 / index[90]), 0, level[40])[0] / level[40]
    assert exact_shortfall(level[40:41], index[90:91])[0] == pytest.approx(mean, rel=1e-6)


@pytest.mark.parametrize("degrees", [2.3, 4.0, 20.0, 150.0])
@pytest.mark.parametrize("skew", [-0.6, -0.2, 0.0, 0.55])
def test_the_skewed_t_is_hansens(degrees: float, skew: float) -> None:
    head = SkewT({}, 1)
    head.base[0] = torch.tensor([0.1, 1.3, 1 / degrees, skew])
    quantiles, shortfall = head(torch.zeros(1, 1, 4))
    np.testing.assert_allclose(quantiles[0, 0], 0.1 + 1.3 * skew_t_quantiles(LEVELS, degrees, skew), atol=1e-5)
    np.testing.assert_allclose(shortfall[0, 0], 0.1 + 1.3 * skew_t_shortfall(LEVELS, degrees, skew), atol=3e-5)
    assert abs(skew) <= MOST_SKEW


def test_the_skewed_t_finds_the_law_that_it_was_simulated_from() -> None:
    head = SkewT({}, 1)
    uniform = np.random.default_rng(1).uniform(size=40_000)
    z = 0.05 + 1.2 * skew_t_quantiles(tuple(uniform), 5.0, 0.2)
    head.measure(z[:, None])
    np.testing.assert_allclose(head.base[0], [0.05, 1.2, 1 / 5, 0.2], atol=0.02)


def test_the_pareto_tails_are_scipys() -> None:
    beta, xi, u = 0.5, 0.15, 0.6 * 3  # three steps of 0.6 from the median to 2.5 %
    quantiles, shortfall = made("pareto")(torch.zeros(1, 2, 11))
    tail = stats.genpareto(xi, loc=u, scale=beta)
    for k, level in enumerate(LEVELS[:3]):
        q = tail.ppf(1 - level / TAIL) if level < TAIL else u
        assert float(quantiles[0, 0, k]) == pytest.approx(-q, rel=1e-5)
        assert float(quantiles[0, 0, 10 - k]) == pytest.approx(q, rel=1e-5)
        mean = integrate.quad(lambda p: tail.ppf(1 - p / TAIL), 0, level)[0] / level
        assert float(shortfall[0, 0, k]) == pytest.approx(-mean, rel=1e-4)
        assert float(shortfall[0, 0, 10 - k]) == pytest.approx(mean, rel=1e-4)


def test_inner_shortfalls_are_exact_for_a_normal_law() -> None:
    """A base of normal quantiles, and tails whose mean is the normal's: the inner levels must be the normal's."""
    head = Pareto({}, 2)
    inner = normal_quantiles(INNER)
    beyond = -normal_shortfall((TAIL,))[0] + inner[0]  # mean excess over the threshold
    head.base_median.zero_()
    head.base_steps.copy_(torch.from_numpy(np.diff(inner)).float())
    xi = 0.05
    head.base_tails.copy_(torch.tensor([beyond * (1 - xi), xi]).expand(2, 2, 2))
    quantiles, shortfall = head(torch.zeros(1, 2, head.n_outputs))
    np.testing.assert_allclose(shortfall[0, 0, 2:9], normal_shortfall(LEVELS)[2:9], rtol=1e-5)
    np.testing.assert_allclose(quantiles[0, 0, 2:9], normal_quantiles(LEVELS)[2:9], atol=1e-6)


def test_tied_residuals_do_not_tie_quantiles() -> None:
    """An outage's zeros are a third of the residuals: 25 %, 50 % and 75 % may be one number."""
    head, z = Quantiles({}, 2), residuals(3_000)
    z[np.abs(z) < 1.2] = 0.0
    head.measure(z)
    quantiles, shortfall = head(torch.zeros(1, 2, head.n_outputs))
    assert (quantiles.diff(dim=-1) > 0).all()
    assert (SIDE * (shortfall - quantiles) > 0).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pareto", {"shape_bound": 0.0}),
        ("quantiles", {"shape_bound": -1.0}),
        ("skew_t", {"index_bound": 0.5}),
        ("skew_t", {"skew_bound": 1.0}),
        ("skew_t", {"degrees": 5}),
    ],
)
def test_bounds_that_bound_nothing_are_refused(name: str, options: dict[str, float]) -> None:
    with pytest.raises(SettingError):
        HEADS[name](options, 2)
