"""Skew scenarios of options whose smile is an SVI slice: its parameters move, as far as no arbitrage allows."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from features.errors import MarketError
from serving.margin.objects import Instrument, Smile
from serving.margin.priced_market import PricedMarket
from serving.margin.scenarios.scenario_set import ScenarioSet
from serving.margin.surface.shocks import Shock, shocked
from serving.margin.surface.svi import RawSvi

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
RHO_PER_SKEW: Final = 2.0  # a relative tilt of 0.15 at one deviation is a shift of rho of 0.3 or so for coins' smiles


def shaped_vols(market: PricedMarket, rows: IntArray, scenarios: ScenarioSet, vol: FloatArray) -> FloatArray:
    """Shocked volatilities, moved further where the smile's own parameters, shocked, move them further.

    A tilt t shifts rho by 2 t, wings w multiply sigma by (1 + w)^-2. The plain shock stays
    the least, so that a slice that can hardly be moved does not make a margin smaller.

    Parameters
    ----------
    rows : the options, shape (o,).
    vol : volatilities after the plain shock, shape (s, o).
    """
    slices = _slices(market, rows)
    shapes = np.column_stack([scenarios.tilt, scenarios.wing])
    shocks = [shape for shape in np.unique(shapes, axis=0) if shape.any()]
    for svi, columns in slices:
        k = np.log(market.options.strike[rows[columns]] / market.options.forward[rows[columns]])
        base = market.options.vol[rows[columns]]
        before = np.sqrt(svi.total_variance(k))
        for tilt, wing in shocks:
            shock = Shock(1.0, RHO_PER_SKEW * float(tilt), float(1.0 + wing) ** -2)
            own = base * np.sqrt(shocked(svi, shock).svi.total_variance(k)) / before
            of_shape = np.ix_(np.flatnonzero((shapes == (tilt, wing)).all(axis=1)), columns)
            plain = vol[of_shape]
            same_way = (own - base) * (plain - base) >= 0
            vol[of_shape] = np.where(same_way & (np.abs(own - base) > np.abs(plain - base)), own, plain)
    return vol


def _slices(market: PricedMarket, rows: IntArray) -> list[tuple[RawSvi, IntArray]]:
    """SVI slices that options stand on, each with the options' columns; one that is not valid is left out."""
    listed = market.snapshot.instruments
    columns: dict[tuple[str, int | None], list[int]] = {}
    for column, row in enumerate(rows):
        columns.setdefault((listed[row].underlying, listed[row].expiry_ns), []).append(column)
    found = []
    for at in columns.values():
        svi = _slice(listed[rows[at[0]]], market)
        if svi is not None:
            found.append((svi, np.array(at, dtype=np.int64)))
    return found


def _slice(terms: Instrument, market: PricedMarket) -> RawSvi | None:
    underlying = market.snapshot.underlyings.get(terms.underlying)
    smiles: tuple[Smile, ...] = () if underlying is None else underlying.smiles
    svi = next((s.svi for s in smiles if s.expiry_ns == terms.expiry_ns), None)
    if svi is None:
        return None
    try:
        return RawSvi(svi.a, svi.b, svi.rho, svi.m, svi.sigma)
    except MarketError:
        return None
