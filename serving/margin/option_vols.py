"""Which implied volatility an option is valued at: its quote's, else the higher of the smile's and its mark's."""

import numpy as np

from features.errors import MarketError, PriceError
from serving.margin.objects import Instrument, Quote, Smile, Underlying
from serving.margin.objects.checks import LARGEST_VOL, volatility
from serving.margin.pricing.implied import implied_vol


def vol_of(
    instrument: Instrument,
    quote: Quote,
    underlying: Underlying,
    forward: float,
    years: float,
    discount: float,
    mark: float,
) -> float:
    """Annualised Black volatility.

    Raises
    ------
    MarketError
        If neither the quote nor a smile of the expiry nor the mark gives one.
    """
    if quote.vol is not None:
        return quote.vol
    strike = float(instrument.strike or 0)
    smile = next((s for s in underlying.smiles if s.expiry_ns == instrument.expiry_ns), None)
    of_mark = _mark_vol(instrument, strike, forward, years, mark / discount)
    if smile is not None:
        of_smile = _smile_vol(smile, strike, forward, years, instrument.symbol)
        return of_smile if of_mark is None else max(of_smile, of_mark)
    if of_mark is None:
        raise MarketError(
            f"{instrument.symbol}: no quoted vol, no smile of its expiry, and no volatility gives its mark; add one"
        )
    return of_mark


def _mark_vol(instrument: Instrument, strike: float, forward: float, years: float, price: float) -> float | None:
    """Volatility that gives the mark; None where none does, or it is intrinsic."""
    try:
        vol = float(implied_vol(price, forward, strike, years, instrument.option == "call"))
    except PriceError:
        return None
    return vol if 0 < vol <= LARGEST_VOL else None


def _smile_vol(smile: Smile, strike: float, forward: float, years: float, symbol: str) -> float:
    """Volatility of a strike: SVI, or between quoted strikes linear in log-strike and flat beyond them."""
    if smile.svi is None:
        return float(np.interp(np.log(strike), np.log(smile.strikes), smile.vols))
    svi, k = smile.svi, np.log(strike / forward)
    variance = svi.a + svi.b * (svi.rho * (k - svi.m) + np.hypot(k - svi.m, svi.sigma))
    if not variance > 0:
        raise MarketError(f"{symbol}: the SVI smile of its expiry has no positive variance at its strike; fit it anew")
    vol = float(np.sqrt(variance / years))
    volatility(vol, f"{symbol}: vol of its SVI smile", MarketError)
    return vol
