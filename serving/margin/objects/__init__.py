"""The objects of the margin engine: frozen, checked at the door, JSON in and out."""

from serving.margin.objects.account import Account, Collateral, Debt, OpenOrder, Position
from serving.margin.objects.feeds import Forward, Level, Quote, SettlementAverage, Smile, Svi
from serving.margin.objects.forecasts import Correlation, ForecastSet, Residuals, Tail
from serving.margin.objects.instruments import Instrument
from serving.margin.objects.market import AssetPrice, MarketSnapshot, Underlying
from serving.margin.objects.result import Component, Levels, MarginResult, PositionMargin

__all__ = [
    "Account",
    "AssetPrice",
    "Collateral",
    "Component",
    "Correlation",
    "Debt",
    "ForecastSet",
    "Forward",
    "Instrument",
    "Level",
    "Levels",
    "MarginResult",
    "MarketSnapshot",
    "OpenOrder",
    "Position",
    "PositionMargin",
    "Quote",
    "Residuals",
    "SettlementAverage",
    "Smile",
    "Svi",
    "Tail",
    "Underlying",
]
