"""Which implied volatility an option is valued at: its quote's, else the smile's, else that of its mark."""

import numpy as np

from features.errors import MarketError, PriceError
from serving.margin.objects import Instrument, Quote, Smile, Underlying
from serving.margin.objects.checks import volatility
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
    if smile is not None:
        return _smile_vol(smile, strike, forward, years, instrument.symbol)
    try:
        found = implied_vol(mark / discount, forward, strike, years, instrument.option == "call")
    except PriceError as error:
        raise MarketError(
            f"{instrument.symbol}: no quoted vol, no smile of its expiry, and its mark has none ({error}); add one"
        ) from error
    vol = float(found)
    if not vol > 0:
        raise MarketError(
            f"{instrument.symbol}: no quoted vol, no smile of its expiry, and its mark is intrinsic; add one"
        )
    return vol


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
