"""The steps of a training run: train, forecast, compare, each re-used where it was made of the same inputs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from backtests.scoring_attendance import Market
from backtests.training_compared import Compared, compared, kept_beside
from backtests.training_network import Trained, network_fold, trained_network
from backtests.training_period import Period
from backtests.training_results import Results
from backtests.training_scores import UNSEEN, Row, classical_rows, network_rows
from backtests.walk import Bar
from features.errors import SettingError
from features.files import sha256_of
from features.panel import Panel
from training.config import TrainingConfig
from training.settings import DataSettings

MODEL, FORECASTS, ALONE = "model", "forecasts.parquet", "unseen"


@dataclass(frozen=True)
class Asked:
    """What a run is asked for beside its configuration: the test's ends (UTC), and symbols to be scored unseen.

    ``with_onnx``: keep the networks in their exported form, too. ``jobs``: processes for the classical models.
    """

    test_from: str | None = None
    test_to: str | None = None
    unseen: tuple[str, ...] = ()
    with_onnx: bool = False
    jobs: int = 1


@dataclass(frozen=True)
class Job:
    """Steps of a run, and what they share."""

    config: TrainingConfig
    asked: Asked
    results: Results
    bar: Bar
    folders: Mapping[str, Path]
    panels: Mapping[str, Panel]
    period: Period
    outcomes: Market

    def data_sha256(self, symbols: Sequence[str]) -> str:
        """Hash of panels."""
        return sha256_of([self.folders[symbol].name for symbol in symbols])

    def trained(self, symbols: Sequence[str], name: str) -> Trained:
        """The network of some symbols; ``name``: of its folder in ``out``."""
        past = {symbol: self.panels[symbol] for symbol in symbols}
        former = self.results.out / name
        found = trained_network(
            self.config, past, self.data_sha256(symbols), self.period.fold, self.results.fresh(name),
            self.bar(f"train {name}"), former=former, checkpoints=former.parent / "checkpoints",
            with_onnx=self.asked.with_onnx,
        )  # fmt: skip
        self.results.add(found.folder)
        return found

    def fold(self, trained: Trained, symbols: Sequence[str]) -> Path:
        """Folder of a network's raw forecasts."""
        asked = {symbol: self.panels[symbol] for symbol in symbols}
        folds = self.results.out / "folds" / "network"
        return network_fold(trained, self.period.fold, asked, self.data_sha256(symbols), folds, self.bar("forecast"))

    def classical(self, symbols: Sequence[str]) -> list[Row]:
        """Raw forecasts of the classical models."""
        folders = {symbol: self.folders[symbol] for symbol in symbols}
        data = self.data_sha256(symbols)
        return classical_rows(self.period.fold, data, folders, self.results.out / "folds", self.asked.jobs, self.bar)

    def compared(self, rows: Sequence[Row], symbols: Sequence[str], name: str, run: str) -> Compared:
        """What rows are worth on some symbols; ``name``: of the file of forecasts, ``run``: the run's key."""
        folders = {symbol: self.folders[symbol] for symbol in symbols}
        outcomes = {symbol: self.outcomes[symbol] for symbol in symbols}
        path, former = self.results.fresh(name), self.results.out / name
        found = compared(rows, folders, self.period, outcomes, path, self.asked.jobs, self.bar, run=run, former=former)
        self.results.add(found.path, found.path.with_name(f"{found.path.name}.sha256"), kept_beside(path))
        return found

    def unseen(self, trained: Trained, classical: Sequence[Row], symbol: str, run: str) -> Compared:
        """One symbol as a network that was trained without it forecasts it, beside those that knew its past."""
        here, symbols = f"{ALONE}/{symbol}", data_of(self.config).symbols
        others = [name for name in symbols if name != symbol]
        is_seen = symbol in trained.card["provenance"]["instruments"]
        without = self.trained(others, f"{here}/{MODEL}") if is_seen else trained
        rows = network_rows(self.fold(without, [symbol]), UNSEEN)[:1]
        rows += network_rows(self.fold(trained, [symbol]))[:1] if is_seen else []
        rows += classical if symbol in symbols else self.classical([symbol])
        return self.compared(rows, [symbol], f"{here}/{FORECASTS}", run)


def data_of(config: TrainingConfig) -> DataSettings:
    """The table ``[data]``.

    Raises
    ------
    SettingError
        If there is none.
    """
    if config.data is None:
        raise SettingError(
            "the configuration has no table [data]: add symbols, spec and fit_until, in the file or with "
            "--set data.symbols=... --set data.spec=... --set data.fit_until=..."
        )
    return config.data
