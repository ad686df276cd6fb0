"""A time-series foundation model from a file as a forecaster: an adapter to weights that are not ours."""

import hashlib
import importlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.clock import NS_PER_S, format_utc
from features.errors import ForecastError, FormatError, SettingError, ShortHistoryError
from features.files import sha256_of_file
from features.panel import Panel
from models.base import Forecast
from models.classical import law
from models.classical.log_har import smeared_least_squares
from models.classical.lookbacks import AT_FLOOR, known_rows

FloatArray = NDArray[np.float64]
BATCH = 256


@dataclass(frozen=True)
class Foundation:
    r"""The model's path of log variances, brought to each horizon by a smeared regression.

    .. math:: \ln f_{t,h} = c_h + b_h \ln \sum_{j=1}^{m_h} e^{\hat y_{t,j}}, \qquad
              (\hat y_{t,1}, \ldots, \hat y_{t,k}) = F(y_{t-n+1} - \bar y_t, \ldots, y_t - \bar y_t) + \bar y_t

    with y the log variances of the last n steps, F the file's network and m steps to the horizon, k at most. The
    context is centred on its mean, which is added back: the unit of returns does not matter, and the level is kept.

    Parameters
    ----------
    path : ONNX file; its network maps (batch, context) float32 to (batch, k), the next k steps, or to quantiles of
        them (batch, k, odd number), of which the middle one is read. All its weights are within the file.
    context : n.
    feature : log variance of one step, which lies between two origins: ``log_rv_1h`` of hourly ones.
    input_name, output_name : of the file's network; none given: its first.
    sha256 : of the file that was fitted with; another one is refused.

    References
    ----------
    Duan (1983), "Smearing estimate", J. American Statistical Association 78.
    """

    path: str = ""
    context: int = 512
    feature: str = "log_rv_1h"
    input_name: str = ""
    output_name: str = ""
    sha256: str = ""
    intercept: FloatArray = field(default_factory=lambda: np.zeros(0))  # (h,), smearing included
    slope: FloatArray = field(default_factory=lambda: np.zeros(0))  # (h,)

    def __post_init__(self) -> None:
        """Refuse a context of nothing."""
        if self.context < 1:
            raise SettingError(f"context={self.context}; choose the steps that the network of the file reads")

    def fit(self, panel: Panel) -> "Foundation":
        """Regress realised variance on the path for every window that had ended.

        Raises
        ------
        SettingError
            If there is no such file, or the package onnxruntime is not installed.
        FormatError
            If the file is no ONNX network that answers as it should.
        ShortHistoryError
            If too few windows had ended.
        """
        pinned = replace(self, sha256=sha256_of_file(existing(self.path)))
        x = pinned.log_sums(panel)
        fits = []
        for column, outcome in zip(x.T, panel.targets.realised_variance.T, strict=True):
            known = known_rows(column[:, None], outcome, panel, "foundation")
            fits.append(smeared_least_squares(column[known, None], np.log(outcome[known])))
        intercept, slope = zip(*fits, strict=True)
        return replace(pinned, intercept=np.array(intercept), slope=np.concatenate(slope))

    def forecast(self, panel: Panel) -> Forecast:
        """Normal law with the smeared variance.

        Raises
        ------
        ShortHistoryError
            If it was not fitted, or at an origin nothing is known of the variance.
        """
        if not len(self.slope):
            raise ShortHistoryError("the foundation model has seen no history; fit it before it forecasts")
        sums = self.log_sums(panel)
        blind = np.isnan(sums).any(axis=1)
        if blind.any():
            raise ShortHistoryError(
                f"{panel.instrument}: no {self.feature} is known at or before the origin "
                f"{format_utc(int(panel.origin_ns[np.argmax(blind)]))}; forecast from later ones"
            )
        return law.normal(panel, np.exp(self.intercept + self.slope * sums))

    def log_sums(self, panel: Panel) -> FloatArray:
        """Log of the variance that the path sums up to by each horizon, shape (n, h); NaN where nothing is known."""
        filled, first = readable(panel, self.feature)
        back = np.arange(self.context - 1, -1, -1)
        steps = [max(horizon_s // panel.spec.every_s, 1) for horizon_s in panel.spec.horizons_s]
        sums = np.full((len(panel), len(steps)), np.nan)
        seen = np.flatnonzero(first <= np.arange(len(panel)))
        for some in (seen[i : i + BATCH] for i in range(0, len(seen), BATCH)):
            windows = filled[np.maximum(some[:, None] - back, first[some, None])]  # (batch, context)
            path = np.logaddexp.accumulate(self.paths(windows), axis=1)
            sums[some] = path[:, [min(m, path.shape[1]) - 1 for m in steps]]
        return sums

    def paths(self, windows: FloatArray) -> FloatArray:
        """Log variances of the next k steps, shape (batch, context) -> (batch, k)."""
        session = opened(self.path, self.sha256)
        level = windows.mean(axis=1, keepdims=True)
        name = self.input_name or session.get_inputs()[0].name
        wanted = self.output_name or session.get_outputs()[0].name
        try:
            answer = session.run([wanted], {name: (windows - level).astype(np.float32)})[0]
        except Exception as error:  # the runtime's own classes, which are imported nowhere here
            raise FormatError(
                f"{self.path} cannot read (batch, {self.context}): {error}; correct the options"
            ) from error
        path: FloatArray = middle(answer.astype(np.float64), len(windows), self.path) + level
        return path


def readable(panel: Panel, feature: str) -> tuple[FloatArray, NDArray[np.int64]]:
    """A log variance without holes, and the first row of each row's run of origins at which it is known, shape (n,).

    An unknown value, or one at the floor in which no price moved, is read as the last known one. Rows before the first
    known one of their run have nothing to read.
    """
    rows, values = np.arange(len(panel)), panel.column(feature)
    breaks = 1 + np.flatnonzero(np.diff(panel.origin_ns) != panel.spec.every_s * NS_PER_S)
    starts = np.concatenate([[0], breaks])[np.searchsorted(breaks, rows, side="right")]
    known = np.isfinite(values) & (values > AT_FLOOR)
    last = np.maximum.accumulate(np.where(known, rows, 0))
    first = np.minimum.accumulate(np.where(known, rows, len(panel))[::-1])[::-1]
    return np.take(values, last), first[starts]


def middle(answer: FloatArray, n: int, path: str) -> FloatArray:
    """Point forecasts (n, k) of an answer; the middle of quantiles.

    Raises
    ------
    FormatError
        If the answer has another shape.
    ForecastError
        If it is not finite.
    """
    found = answer
    if found.ndim == 3 and found.shape[2] % 2:
        found = found[:, :, found.shape[2] // 2]
    if found.ndim != 2 or len(found) != n or not found.size:
        raise FormatError(f"{path} answers {np.shape(answer)}, not ({n}, steps) nor ({n}, steps, an odd number)")
    if not np.isfinite(found).all():
        raise ForecastError(f"{path} answers numbers that are not finite; choose another model")
    return found


def existing(path: str) -> Path:
    """The file, or a refusal."""
    if not path or not Path(path).is_file():
        raise SettingError(f"the foundation model has no file {path!r}; set the option path to an ONNX file")
    return Path(path)


@lru_cache(maxsize=2)  # a session is as good as the content that it was opened from
def opened(path: str, sha256: str) -> Any:  # noqa: ANN401 - a class of a package that may not be there
    """Session of a file whose content is known.

    Raises
    ------
    SettingError
        If there is no such file, its content is another, or the package onnxruntime is not installed.
    FormatError
        If it is no ONNX network.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise SettingError("a foundation model needs the package onnxruntime: pip install onnxruntime") from error
    content = existing(path).read_bytes()  # what is run is what was hashed
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SettingError(f"{path} has SHA-256 {found[:12]}, the model was fitted with {sha256[:12]}; fit it again")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    try:
        return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise FormatError(f"{path} is no ONNX network: {error}") from error
