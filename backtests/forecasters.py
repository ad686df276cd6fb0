"""Everything that a backtest fits: the tables of the models, and networks, which are trained."""

from collections.abc import Callable, Mapping
from typing import Any

from backtests.code import code_of
from features.errors import lookup
from models import FORECASTERS, POOLED
from models.base import Forecaster, PooledForecaster
from training.recipe import NetworkRecipe

TRAINED: dict[str, Callable[..., PooledForecaster]] = {"network": NetworkRecipe}


def maker_of(name: str) -> Callable[..., Forecaster | PooledForecaster]:
    """What makes a model of this name from options.

    Raises
    ------
    SettingError
        If there is none; the message lists those there are.
    """
    table: dict[str, Callable[..., Forecaster | PooledForecaster]] = {**FORECASTERS, **POOLED, **TRAINED}
    return lookup(table, name, "forecaster")


def pooled_maker_of(name: str) -> Callable[..., PooledForecaster] | None:
    """The same where the model learns from several instruments at once; None where it does not."""
    return {**POOLED, **TRAINED}.get(name)


def contents_of(name: str, options: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """What options stand for, in full: a configuration that they name is read, and models that it names are hashed."""
    made = maker_of(name)(**options)
    if not isinstance(made, NetworkRecipe):
        return dict(options)
    read = made.settings.inputs
    return [made.settings.model_dump(), {n: code_of(maker_of(n)) for n in (read.anchor, *read.companions)}]
