"""The fit on a venue's recorded chain, and someone else's parameters under our checks."""

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import norm

from serving.margin.surface.arbitrage import butterfly, calendar, check_surface
from serving.margin.surface.quotes import Usable, usable
from serving.margin.surface.ssvi_fit import fit_ssvi
from serving.margin.surface.surface import fit_surface
from serving.margin.surface.svi import RawSvi
from serving.option_chain import read_chain, snapshots

FloatArray = NDArray[np.float64]

FOLDER = Path(__file__).parents[5] / "shared/data/options"
CHAIN = FOLDER / "deribit_btc_option_chain_20240902.parquet"
PARAMETERS = FOLDER / "deribit_btc_svi_params_20240810.parquet"

needs_chain = pytest.mark.skipif(not CHAIN.exists(), reason=f"no recorded chain at {CHAIN}")
needs_parameters = pytest.mark.skipif(not PARAMETERS.exists(), reason=f"no recorded parameters at {PARAMETERS}")


@needs_chain
def test_every_third_snapshot_gives_a_surface_without_arbitrage() -> None:
    weighted, inside = [], []
    for i in range(0, len(snapshots(CHAIN)), 3):
        _, chain = read_chain(CHAIN, i)
        fit = fit_surface([e.quotes for e in chain], [e.years for e in chain])
        assert fit.check.free
        weighted += [s.weighted_rmse_points for s in fit.slices]
        inside += [s.inside_share for s in fit.slices]
    assert np.mean(weighted) < 0.4
    assert np.mean(inside) > 0.97


@needs_chain
def test_a_free_fit_of_the_same_quotes_is_hardly_nearer_and_can_be_arbitraged() -> None:
    """Scipy's least squares on raw SVI, each expiry on its own and without constraints."""
    _, chain = read_chain(CHAIN, 10)
    fit = fit_surface([e.quotes for e in chain], [e.years for e in chain])
    peers, errors = [], []
    for expiry in chain:
        data, money = usable(expiry.quotes), 0.5 * math.sqrt(expiry.years)

        def miss(x: FloatArray, data: Usable = data, years: float = expiry.years) -> FloatArray:
            w = x[0] + x[1] * (x[2] * (data.k - x[3]) + np.sqrt((data.k - x[3]) ** 2 + x[4] ** 2))
            return np.asarray(100 * data.weight * (np.sqrt(np.maximum(w, 1e-12) / years) - data.vol))

        bounds = ([-5, 0, -0.999, -2, 1e-4], [5, 1.9, 0.999, 2, 5])
        found = least_squares(miss, [money**2 / 2, money / 2, 0.0, 0.0, money], bounds=bounds)
        peers.append(RawSvi(*(float(x) for x in found.x)))
        errors.append(math.sqrt(2 * found.cost))
    assert np.mean([s.weighted_rmse_points for s in fit.slices]) < 1.15 * np.mean(errors)
    assert not check_surface(peers).free


@needs_chain
def test_the_clock_and_the_forward_reproduce_the_venues_marks() -> None:
    """Black's call in coin at the recorded mark volatility is the recorded mark, to its four digits."""
    table = pl.read_parquet(CHAIN).filter(pl.col("ts_ms_utc") == snapshots(CHAIN)[10])
    for expiry in read_chain(CHAIN, 10)[1]:
        rows = table.filter(pl.col("Expiry_Date") == expiry.name).sort("Strike_Price")
        deviation = expiry.quotes.mark * np.sqrt(expiry.years)
        upper = -expiry.quotes.k / deviation + deviation / 2
        price = norm.cdf(upper) - np.exp(expiry.quotes.k) * norm.cdf(upper - deviation)
        np.testing.assert_allclose(price, rows["mark_price"].to_numpy(), atol=3e-4)


@needs_chain
def test_ssvi_is_free_and_within_a_few_points_of_the_same_chain() -> None:
    _, chain = read_chain(CHAIN, 10)
    fit = fit_ssvi([e.quotes for e in chain], [e.years for e in chain])
    assert check_surface(fit.slices).free
    assert fit.weighted_rmse_points < 1.2


@needs_parameters
def test_someone_elses_parameters_are_not_free_of_arbitrage() -> None:
    """Recorded raw SVI of annualised variance: what a fit without constraints leaves behind."""
    table = pl.read_parquet(PARAMETERS).sort("ts_ms_utc", "Time_To_Maturity")
    chosen = table["ts_ms_utc"].unique().sort().gather_every(20)
    rows = table.filter(pl.col("ts_ms_utc").is_in(chosen.implode())).iter_rows(named=True)
    smiles = [
        (r["ts_ms_utc"], RawSvi(r["a"] * t, r["b"] * t, r["rho"], r["m"], r["sigma"]))
        for r in rows
        for t in [r["Time_To_Maturity"]]
    ]
    butterflies = sum(not butterfly(svi).free for _, svi in smiles)
    pairs = [(a, b) for (now, a), (then, b) in pairwise(smiles) if now == then]
    calendars = sum(not calendar(a, b, (-0.3, 0.3)).free for a, b in pairs)
    assert 0 < butterflies < len(smiles) / 4
    assert 0 < calendars < len(pairs) / 4
