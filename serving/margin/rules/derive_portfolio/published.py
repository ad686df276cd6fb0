"""Parameters as published for the BTC and ETH markets, and the haircuts of collateral."""

from typing import Final

from serving.margin.rules.derive_portfolio.parameters import (
    DAY_S,
    Basis,
    CollateralTerms,
    Contingency,
    Parameters,
    Scenario,
    SkewShock,
    StaticDiscount,
    VolMove,
    VolShock,
)

RANGE: Final = 0.18  # of spot, of the grid
TAIL_SHARE: Final = 0.2  # of the loss at a move of RANGE that a tail move keeps per unit of spot


def _grid() -> tuple[Scenario, ...]:
    """Nine moves of spot; volatility up and down except at the ends, where it only rises."""
    every: tuple[VolMove, ...] = ("down", "none", "up")
    moves = [(step / 4) * RANGE for step in range(4, -5, -1)]
    return tuple(
        Scenario(round(1 + move, 4), vol) for move in moves for vol in (every if abs(move) < RANGE else every[2:])
    )


def _tails() -> tuple[Scenario, ...]:
    """Moves far beyond the range, damped in proportion to their size."""
    moves = (-0.66, -0.33, 0.5, 1.0, 2.0, 3.0)
    return tuple(Scenario(round(1 + move, 4), "up", TAIL_SHARE * RANGE / abs(move)) for move in moves)


def _terms(
    initial: float, maintenance: float, hedge_initial: float | None = None, hedge_maintenance: float | None = None
) -> CollateralTerms:
    return CollateralTerms(
        initial=initial, maintenance=maintenance, hedge_initial=hedge_initial, hedge_maintenance=hedge_maintenance
    )


PUBLISHED: Final = Parameters(
    source="https://docs.derive.xyz/docs/pm2 ; github.com/derivexyz/v2-core, tests of PMRM_2",
    scenarios=(*_grid(), *_tails(), Scenario(1.0, "linear"), Scenario(1.0, "abs")),
    initial_factor=1.0,
    maintenance_factor=0.8,
    vol=VolShock(
        range_up=0.5,
        range_down=0.275,
        short_power=0.3,
        long_power=0.13,
        floor_s=DAY_S,
        lowest_after_rise=0.45,
    ),
    skew=SkewShock(
        linear_base=0.15,
        linear_slope=-0.05,
        abs_base=0.15,
        abs_slope=-0.05,
        least_width=0.01,
        width_scale=4.0,
        vol_base=0.6,
        vol_slope=-0.1,
    ),
    discount=StaticDiscount(
        long_base=0.95,
        long_rate_scale=1.0,
        long_rate_add=0.08,
        short_base=1.04,
        short_rate_scale=0.5,
        short_rate_add=0.08,
    ),
    basis=Basis(spot_up=1.045, spot_down=0.955, add=0.5, scale=2.0),
    contingency=Contingency(
        perpetual_maintenance=0.015,
        perpetual_initial=0.005,
        option_maintenance=0.003,
        option_initial=0.002,
        confidence_threshold=0.55,
        confidence_scale=1.0,
        peg_threshold=0.98,
        peg_scale=2.0,
    ),
    collateral={
        "BTC": _terms(0.05, 0.25, 0.005, 0.015),
        "CBBTC": _terms(0.1, 0.35, 0.015, 0.04),
        "LBTC": _terms(0.05, 0.3, 0.015, 0.03),
        "ETH": _terms(0.05, 0.15, 0.005, 0.015),
        "WEETH": _terms(0.1, 0.25, 0.01, 0.05),
        "RSWETH": _terms(0.05, 0.2, 0.01, 0.03),
        "USDT": _terms(0.03, 0.02),
        "USDE": _terms(0.05, 0.2),
        "SUSDE": _terms(0.1, 0.25),
        "DAI": _terms(0.02, 0.08),
        "SDAI": _terms(0.03, 0.12),
    },
)
