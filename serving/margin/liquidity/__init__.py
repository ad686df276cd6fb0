"""What it costs to close a position: the stressed book, slices over time, the spread of options."""

from serving.margin.liquidity.cost import LiquidationCost, liquidation_cost, liquidation_costs
from serving.margin.liquidity.period import period_s
from serving.margin.liquidity.policy import LiquidityPolicy
from serving.margin.liquidity.side import StressedSide, stressed_side
from serving.margin.liquidity.vega import vega_spread

__all__ = [
    "LiquidationCost",
    "LiquidityPolicy",
    "StressedSide",
    "liquidation_cost",
    "liquidation_costs",
    "period_s",
    "stressed_side",
    "vega_spread",
]
