"""A network that is trained where it is asked to fit: what a walk-forward refits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from features.errors import SettingError, ShortHistoryError
from features.panel import Panel
from models.base import Forecast
from models.neural.forecaster import NeuralForecaster
from training.config import TrainingConfig, load_config
from training.fit import train


@dataclass(frozen=True)
class NetworkRecipe:
    """A training configuration as a pooled forecaster.

    ``config``: packaged name or path; ``overrides``: ``table.key=value`` each. Both are read, and refused, at once.
    ``unseen``: each instrument is forecast by a network that was trained on all the others, but not on it: how a
    network does on one that it never saw.

    Raises
    ------
    MissingFileError, SettingError
        If there is no such configuration, or a key is missing, unknown or out of range.

    Examples
    --------
    >>> NetworkRecipe("referee", ("epochs=2",)).settings.epochs
    2
    """

    config: str = "referee"
    overrides: Sequence[str] = ()
    unseen: bool = False
    fitted: Mapping[str, NeuralForecaster] = field(default_factory=dict)  # by the instrument left out; "" for none
    settings: TrainingConfig = field(init=False)

    def __post_init__(self) -> None:
        """Read the configuration, and refuse what cannot be trained before the work begins."""
        object.__setattr__(self, "settings", load_config(self.config, tuple(self.overrides)))

    def fit(self, panels: Sequence[Panel]) -> "NetworkRecipe":
        """Train on every row whose window had ended.

        Raises
        ------
        ShortHistoryError
            If an instrument is to be left out and there is no other.
        """
        if not self.unseen:
            return replace(self, fitted={"": train(panels, self.settings).forecaster})
        if len(panels) < 2:
            raise ShortHistoryError("to leave an instrument out there must be two; give more panels, or unseen = false")
        names = [panel.instrument for panel in panels]
        others = {name: [panel for panel in panels if panel.instrument != name] for name in names}
        return replace(self, fitted={name: train(rest, self.settings).forecaster for name, rest in others.items()})

    def forecast(self, panel: Panel) -> Forecast:
        """Law of every origin, of an instrument that was trained on or of another.

        Raises
        ------
        SettingError
            If nothing was trained yet.
        """
        if not self.fitted:
            raise SettingError("the network is not trained; call fit with panels of the past first")
        # One that was in no training is left out of all of them: any will do.
        left_out = panel.instrument if panel.instrument in self.fitted else next(iter(self.fitted))
        return self.fitted[left_out].forecast(panel)
