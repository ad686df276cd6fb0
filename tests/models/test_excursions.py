"""Quantiles of excursions: Brownian motion in closed form, slow loops, bounds that nothing breaks, no look ahead."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

import models.excursions.law as law
from features.clock import HOUR_NS, parse_utc
from features.errors import ForecastError
from features.panel import Panel
from features.targets import Targets
from models import FORECASTERS
from models.base import LEVELS, Forecast
from models.calibration import Calibration, calibrate
from models.calibration.windows import law_moments
from models.excursions import EXCURSION_LEVELS, Excursions, forecast_excursions
from models.excursions.law import SIDES, bounds, conditional_scale, reflected_quantile
from models.excursions.quantiles import upper_quantiles
from models.excursions.tracking import STEP, tracked_excursions
from models.tails import normal_quantiles, normal_shortfall

BROADIE = 0.582597157939  # -zeta(1/2) / sqrt(2 pi)


def flat(n: int, horizons: int, sd: float = 1.0) -> Forecast:
    """A normal law of one deviation, hourly."""
    origin_ns = parse_utc("2021-01-01") + HOUR_NS * np.arange(n)
    quantiles, shortfall = (
        np.broadcast_to(sd * f(LEVELS), (n, horizons, len(LEVELS))) for f in (normal_quantiles, normal_shortfall)
    )
    horizons_s = (3_600, 14_400, 28_800, 86_400)[:horizons]
    return Forecast(origin_ns, horizons_s, np.full((n, horizons), sd**2), LEVELS, quantiles, shortfall)


def panel_of(template: Panel, forecast: Forecast, down: np.ndarray, up: np.ndarray) -> Panel:
    """A panel of the forecast's origins, whose first horizons had these excursions."""
    n, shape = len(forecast.origin_ns), (len(forecast.origin_ns), 4)
    columns = {name: np.full(shape, np.nan) for name in template.targets.arrays}
    columns["excursion_down"][:, : down.shape[1]] = down
    columns["excursion_up"][:, : up.shape[1]] = up
    values = np.zeros((n, template.values.shape[1]), dtype=np.float32)
    return Panel("X", template.spec, forecast.origin_ns, values, Targets(**columns), np.zeros(n, dtype=bool))


@pytest.fixture(scope="module")
def calibrated(panel: Panel, brief_calibration: Calibration) -> Forecast:
    raw = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    return calibrate(raw, panel, brief_calibration)


@pytest.fixture(scope="module")
def moving(panel: Panel, calibrated: Forecast) -> Forecast:
    """The same with tails that breathe, as a model's own may; some less than a deviation."""
    breath = np.exp(0.6 * np.sin(np.arange(len(panel)) / 50))[:, None, None]
    return replace(calibrated, quantiles=calibrated.quantiles * breath, shortfall=calibrated.shortfall * breath)


def test_the_reflection_principle_is_twice_the_normal_tail() -> None:
    """The greatest value of a Brownian motion has the density of |W|: integrated, it is the level."""
    for level in (0.5, *EXCURSION_LEVELS):
        area, _ = quad(lambda x: 2 * stats.norm.pdf(x), 0, reflected_quantile(level))
        assert area == pytest.approx(level, rel=1e-10)


def test_the_law_of_a_random_walk_is_that_of_brownian_motion_seen_at_steps(panel: Panel) -> None:
    """Broadie, Glasserman & Kou (1997): watched m times, a barrier is as good as 0.5826 / sqrt(m) further out."""
    years, m, sd = 4, 12, 0.01
    n = 24 * 365 * years + 48
    path = np.cumsum(np.random.default_rng(1).normal(0.0, sd / np.sqrt(m), (n, m)), axis=1)
    down, up = np.maximum(-path.min(axis=1), 0)[:, None], np.maximum(path.max(axis=1), 0)[:, None]
    forecast = flat(n, 1, sd)
    found = forecast_excursions(forecast, panel_of(panel, forecast, down, up), Calibration(tail_rows=24 * 365 * years))
    for k, level in enumerate(EXCURSION_LEVELS):
        wanted = reflected_quantile(level) - BROADIE / np.sqrt(m)
        error = np.sqrt(level * (1 - level) / (24 * 365 * years)) / (2 * stats.norm.pdf(reflected_quantile(level)))
        for side in (found.down, found.up):
            assert side[-1, 0, k] / sd == pytest.approx(wanted, abs=3.5 * error)
    assert BROADIE / np.sqrt(m) > 3.5 * error  # else the correction could be left out


@pytest.mark.parametrize("degrees", [3, 30])
def test_a_walk_of_symmetric_steps_keeps_within_the_bounds(degrees: int) -> None:
    """Lévy's inequality and Jensen's, on 400,000 paths of 24 steps; down and up are other draws."""
    rng = np.random.default_rng(degrees)
    down, up, end = [], [], []
    for _ in range(20):
        path = np.cumsum(rng.standard_t(degrees, (20_000, 24)), axis=1)
        down.append(-path.min(axis=1))
        up.append(path.max(axis=1))
        end.append(path[:, -1])
    ends = np.sort(np.concatenate(end))
    quantiles = np.quantile(ends, LEVELS)
    shortfall = [
        (ends[ends <= q] if p <= 0.5 else ends[ends >= q]).mean() for p, q in zip(LEVELS, quantiles, strict=True)
    ]
    one = Forecast(np.array([0]), (3_600,), np.array([[ends.var()]]), LEVELS, quantiles[None, None],
                   np.array(shortfall)[None, None])  # fmt: skip
    for name, paths in (("dn", down), ("up", up)):
        lower, upper = bounds(one, SIDES[name], 0)
        excursion = np.quantile(np.concatenate(paths), EXCURSION_LEVELS) / ends.std()
        assert (lower[0] < excursion).all()
        assert (excursion < upper[0]).all()
        doubled = np.quantile(ends, [1 - (1 - p) / 2 for p in EXCURSION_LEVELS]) / ends.std()
        assert (excursion < 1.02 * doubled).all()
        assert (doubled < upper[0]).all()


def test_too_few_windows_leave_the_upper_bound(panel: Panel, calibrated: Forecast) -> None:
    cut = calibrated.rows(0, 300)
    found = forecast_excursions(cut, panel.rows(0, 300), Calibration())
    wanted = [-cut.shortfall[:, :, LEVELS.index(p)] for p in (0.01, 0.005)]
    deviation = np.sqrt(cut.variance)
    brownian = [deviation * stats.norm.ppf(1 - u / 2) for u in (0.01, 0.005)]
    np.testing.assert_allclose(found.down, np.maximum(np.stack(wanted, -1), np.stack(brownian, -1)))


def slow_law(
    origin_ns: np.ndarray, value: np.ndarray, level: float, t: int, horizon_ns: int, settings: Calibration
) -> float | None:
    """Quantile of the windows that had ended by the midnight before origin t."""
    midnight = int(origin_ns[t]) // (24 * HOUR_NS) * 24 * HOUR_NS
    memory_ns = settings.tail_rows * HOUR_NS
    ended = [v for o, v in zip(origin_ns, value, strict=True)
             if midnight - memory_ns < o + horizon_ns <= midnight and np.isfinite(v)]  # fmt: skip
    return float(np.quantile(ended, level)) if len(ended) >= settings.least_rows else None


@pytest.mark.parametrize("is_shaped", [False, True])
def test_quantiles_are_those_of_a_slow_loop(
    panel: Panel, calibrated: Forecast, moving: Forecast, brief_calibration: Calibration, is_shaped: bool
) -> None:
    """Filtered historical simulation of excursions written out, with holes between the origins."""
    kept = np.flatnonzero(np.random.default_rng(0).random(len(panel)) > 0.2)
    forecast, shape = (
        replace(f, **{name: getattr(f, name)[kept] for name in ("origin_ns", "variance", "quantiles", "shortfall")})
        for f in (calibrated, moving)
    )
    found = forecast_excursions(forecast, panel, brief_calibration, shape=shape if is_shaped else None)
    for h, horizon_s in enumerate(forecast.horizons_s):
        sd = np.sqrt(forecast.variance[:, h])
        for k, level in enumerate(EXCURSION_LEVELS):
            tail = shape.quantiles[:, h, LEVELS.index(level)] / np.sqrt(shape.variance[:, h])
            scale = np.sqrt(np.maximum(tail, 1)) if is_shaped else np.ones(len(kept))
            value = panel.targets.excursion_up[kept, h] / (sd * scale)
            for t in (1_500, 2_100, len(kept) - 1):
                quantile = slow_law(forecast.origin_ns, value, level, t, horizon_s * 10**9, brief_calibration)
                assert quantile is not None
                end = forecast.quantiles[t, h, LEVELS.index(level)]
                wanted = max(sd[t] * scale[t] * quantile, end)
                assert found.up[t, h, k] == pytest.approx(max(wanted, found.up[t, h, 0] if k else 0.0), rel=1e-12)


@pytest.mark.parametrize("levels", [(0.99, 0.995), (0.5,), (0.0, 0.3, 1.0)])
def test_quantiles_of_sliding_windows_are_numpys(levels: tuple[float, ...]) -> None:
    """With values that are equal, windows that grow, that stand still, that jump on, and that hold a single value."""
    rng = np.random.default_rng(11)
    value = np.round(rng.standard_t(2, 3_000), 1)
    starts = np.sort(np.concatenate([np.zeros(20, dtype=np.int64), rng.integers(0, 2_000, 60), [2_990, 2_999]]))
    stops = np.maximum.accumulate(np.minimum(starts + np.concatenate([np.arange(1, 21), np.full(62, 700)]), 3_000))
    found = upper_quantiles(value, starts, stops, levels)
    wanted = [np.quantile(value[a:b], levels) for a, b in zip(starts, stops, strict=True)]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    assert (np.diff(stops) > 0).any()


def test_a_shape_that_never_moves_changes_nothing(
    panel: Panel, calibrated: Forecast, brief_calibration: Calibration
) -> None:
    still = FORECASTERS["log_har"]().fit(panel).forecast(panel)
    plain = forecast_excursions(calibrated, panel, brief_calibration)
    shaped = forecast_excursions(calibrated, panel, brief_calibration, shape=still)
    np.testing.assert_allclose(shaped.down, plain.down, rtol=1e-12)
    np.testing.assert_allclose(shaped.up, plain.up, rtol=1e-12)


def test_a_tail_of_less_than_a_deviation_is_no_scale(moving: Forecast) -> None:
    tail = moving.quantiles[:, 3, LEVELS.index(0.99)] / np.sqrt(moving.variance[:, 3])
    scale = conditional_scale(moving, SIDES["up"], 3)[:, 0]
    assert tail.min() < 1 < tail.max()
    np.testing.assert_allclose(scale**2, np.maximum(tail, 1))


@pytest.mark.parametrize("track", [False, True])
def test_no_excursion_is_less_than_the_loss_at_the_end(
    panel: Panel, calibrated: Forecast, moving: Forecast, brief_calibration: Calibration, track: bool
) -> None:
    """Also where the past's excursions say less: they are taken to be a tenth of what they were."""
    low, high = ([LEVELS.index(p) for p in levels] for levels in ((0.01, 0.005), (0.99, 0.995)))
    small = {name: 0.1 * getattr(panel.targets, name) for name in ("excursion_down", "excursion_up")}
    for market in (panel, replace(panel, targets=replace(panel.targets, **small))):
        found = forecast_excursions(moving, market, brief_calibration, shape=calibrated, track=track)
        assert (found.down >= -moving.quantiles[:, :, low]).all()
        assert (found.up >= moving.quantiles[:, :, high]).all()
    assert (found.down == -moving.quantiles[:, :, low])[2_000:].mean() > 0.9  # the bound is what is answered


def test_outcomes_are_not_less_than_the_loss_at_the_end(panel: Panel) -> None:
    """What the bound rests on, in the data: a price that ended there has been there."""
    outcomes = panel.targets
    known = np.isfinite(outcomes.log_return)
    assert known.sum() > 10_000
    assert (outcomes.excursion_down >= np.maximum(-outcomes.log_return, 0) - 1e-12)[known].all()
    assert (outcomes.excursion_up >= np.maximum(outcomes.log_return, 0) - 1e-12)[known].all()


def changes_with_the_future(panel: Panel, forecast: Forecast, settings: Calibration, *, track: bool) -> bool:
    """Whether an answer is another one when all that had not ended by its origin is taken away, or made up."""
    for last in (2_000, 2_711, 3_313):
        now_ns = int(panel.origin_ns[last])
        wild = {name: 7 * values for name, values in panel.targets.arrays.items()}
        past, known = panel.until(now_ns), panel.targets.until(panel.origin_ns, panel.spec.horizons_s, now_ns)
        mixed = Targets(**{n: np.where(np.isfinite(known.arrays[n]), known.arrays[n], wild[n]) for n in wild})
        answers = [
            forecast_excursions(forecast.rows(0, last + 1), market, settings, track=track)
            for market in (past, panel, replace(panel, targets=mixed))
        ]
        for other in answers[1:]:
            if not (np.array_equal(answers[0].down[last], other.down[last])
                    and np.array_equal(answers[0].up[last], other.up[last])):  # fmt: skip
                return True
    return False


@pytest.mark.parametrize("track", [False, True])
def test_no_answer_changes_with_what_came_after_its_origin(
    panel: Panel, calibrated: Forecast, brief_calibration: Calibration, track: bool
) -> None:
    assert not changes_with_the_future(panel, calibrated, brief_calibration, track=track)


def test_a_planted_look_ahead_is_found(
    panel: Panel, calibrated: Forecast, brief_calibration: Calibration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A law as of a day later than its origin uses windows that had not ended."""
    honest: Callable[..., np.ndarray] = law_moments
    monkeypatch.setattr(law, "law_moments", lambda origin_ns, refit: honest(origin_ns, refit) + 48 * HOUR_NS)
    assert changes_with_the_future(panel, calibrated, brief_calibration, track=False)


def test_tracking_is_a_slow_loop_and_keeps_its_order() -> None:
    rng = np.random.default_rng(5)
    n, ahead = 600, 4
    origin_ns = np.flatnonzero(rng.random(2 * n) > 0.3)[:n] * HOUR_NS
    ratio = np.abs(rng.standard_t(3, n))
    ratio[50:60] = np.nan
    quantiles = np.sort(np.exp(rng.normal(1.0, 0.2, (n, 2))), axis=1)
    lower = quantiles * rng.uniform(0.2, 1.1, (n, 2))
    found = tracked_excursions(ratio, quantiles, lower, origin_ns, ahead * HOUR_NS, HOUR_NS, step=0.5)

    theta, done, wanted, own = np.zeros(2), set[int](), np.zeros((n, 2)), np.zeros((n, 2), dtype=bool)
    for t in range(n):
        for s in range(t):
            if s not in done and origin_ns[s] + ahead * HOUR_NS <= origin_ns[t]:
                done.add(s)
                for k, level in enumerate(EXCURSION_LEVELS):
                    if np.isfinite(ratio[s]):
                        theta[k] += 0.5 / 4 * ((ratio[s] > wanted[s, k]) - (1 - level) * own[s, k])
        moved = quantiles[t] * np.exp(theta)
        wanted[t, 0] = max(moved[0], lower[t, 0])
        wanted[t, 1] = max(moved[1], lower[t, 1], wanted[t, 0])
        own[t] = wanted[t] == moved
    assert 0.2 < own.mean() < 0.99
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert (found >= lower).all()
    assert (np.diff(found, axis=1) >= 0).all()


@pytest.mark.parametrize("ahead", [1, 24])
@pytest.mark.parametrize("kind", ["drift", "cluster", "worst"])
def test_excursions_beyond_come_no_more_often_than_is_proved(ahead: int, kind: str) -> None:
    """The bound of the docstring, for outcomes that no law describes; ``worst`` waits until the quantile has sunk."""
    n, step = 30_000, 0.05
    rng = np.random.default_rng(8)
    ratio = np.abs(rng.standard_normal(n))
    if kind == "drift":
        ratio *= np.linspace(1, 6, n)
    if kind == "cluster":
        ratio[np.arange(n) % 3_000 < 200] *= 8
    if kind == "worst":
        ratio = np.where(np.arange(n) % 5_000 > 4_000, 10.0, 0.01)
    quantiles, lower = np.tile([2.6, 2.8], (n, 1)), np.tile([1.5, 2.0], (n, 1))
    origin_ns = HOUR_NS * np.arange(n)
    found = tracked_excursions(ratio, quantiles, lower, origin_ns, ahead * HOUR_NS, HOUR_NS, step=step)
    ended = slice(0, n - ahead)
    most = np.maximum(0, np.log(ratio.max() / quantiles[0])) + 2 * step
    beyond = (ratio[ended, None] > found[ended]).mean(axis=0)
    assert (beyond <= 1 - np.array(EXCURSION_LEVELS) + most * ahead / (step * n)).all()
    untracked = (ratio[ended, None] > quantiles[ended]).mean(axis=0)
    assert (untracked > 1.5 * beyond).all()


def test_nothing_sinks_unseen_below_a_bound() -> None:
    """A return's tail that is wide for a year and narrows overnight must not uncover a quantile that had sunk."""
    n = 24 * 500
    rng = np.random.default_rng(9)
    ratio = np.abs(rng.standard_normal(n))
    quantiles = np.tile(stats.norm.ppf((1 + np.array(EXCURSION_LEVELS)) / 2), (n, 1))
    lower = np.where(np.arange(n)[:, None] < 24 * 365, 6.0, 1.0) * np.ones((1, 2))
    found = tracked_excursions(ratio, quantiles, lower, HOUR_NS * np.arange(n), HOUR_NS, HOUR_NS)
    after = 24 * 365 + 2
    np.testing.assert_allclose(found[after], quantiles[after], rtol=5 * STEP)
    sunk = quantiles[0] * np.exp(-STEP * (1 - np.array(EXCURSION_LEVELS)) * 24 * 365)  # had it learned all the same
    assert (sunk < 0.8 * quantiles[0]).all()


def test_tracking_mends_a_law_that_is_wrong() -> None:
    """Half-normal excursions against quantiles a fifth too small and a fifth too large: both come right."""
    n = 60_000
    ratio = np.abs(np.random.default_rng(10).standard_normal(n))
    right = stats.norm.ppf((1 + np.array(EXCURSION_LEVELS)) / 2)
    for factor in (0.8, 1.2):
        quantiles = np.tile(factor * right, (n, 1))
        found = tracked_excursions(ratio, quantiles, np.zeros((n, 2)), HOUR_NS * np.arange(n), HOUR_NS, HOUR_NS)
        np.testing.assert_allclose(found[-20_000:].mean(axis=0), right, rtol=0.04)


@pytest.mark.parametrize("fault", ["nan", "zero", "crossing", "shape"])
def test_what_no_excursion_could_have_is_refused(fault: str) -> None:
    down, up = np.tile([0.02, 0.03], (5, 1, 1)), np.tile([0.02, 0.03], (5, 1, 1))
    Excursions(down, up)
    if fault == "nan":
        up[2, 0, 0] = np.nan
    if fault == "zero":
        down[1] = 0.0
    if fault == "crossing":
        up[4, 0, 0] = 0.04
    if fault == "shape":
        up = up[:4]
    with pytest.raises(ForecastError):
        Excursions(down, up)


def test_other_origins_than_the_panels_are_refused(panel: Panel, calibrated: Forecast) -> None:
    with pytest.raises(ForecastError, match="origins of the panel"):
        forecast_excursions(calibrated, panel.rows(0, 100), Calibration())
    with pytest.raises(ForecastError, match="other origins"):
        forecast_excursions(calibrated.rows(1), panel, Calibration(), shape=calibrated.rows(0, len(panel) - 1))
    stood_still = {name: 0 * getattr(panel.targets, name) for name in ("excursion_down", "excursion_up")}
    no_tails = replace(calibrated, quantiles=np.zeros_like(calibrated.quantiles))
    with pytest.raises(ForecastError, match="stands still"):
        forecast_excursions(no_tails, replace(panel, targets=replace(panel.targets, **stood_still)), Calibration())


def test_forecasts_are_not_matched_with_a_panel_that_has_no_rows(panel: Panel) -> None:
    forecast = FORECASTERS["log_har"]().fit(panel).forecast(panel).rows(600, 610)
    with pytest.raises(ForecastError, match="give the panel"):
        forecast_excursions(forecast, panel.rows(0, 0), Calibration())
