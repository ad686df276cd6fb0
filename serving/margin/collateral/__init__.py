"""What collateral counts for: haircuts by asset, each charge named; debts count whole."""

from serving.margin.collateral.haircuts import CHARGES, Holdings, haircuts
from serving.margin.collateral.lines import Holding, collateral_lines, debt_line
from serving.margin.collateral.policy import CollateralPolicy
from serving.margin.collateral.wrong_way import wrong_way_share

__all__ = [
    "CHARGES",
    "CollateralPolicy",
    "Holding",
    "Holdings",
    "collateral_lines",
    "debt_line",
    "haircuts",
    "wrong_way_share",
]
