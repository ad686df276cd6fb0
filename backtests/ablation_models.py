"""Every model of the ablation on every rung of features: fitted on the first part, the same debiasing for all."""

from collections.abc import Sequence

import numpy as np
import torch

from backtests.ablation_plan import (
    FLAT,
    NETWORK,
    RIDGE,
    TRUTH,
    AblationPlan,
    Answered,
    FloatArray,
    Group,
    Key,
    Recording,
)
from backtests.ablation_rungs import ladder_of, narrowed
from features.panel import Panel
from features.pipeline import Progress, no_progress
from models.base import LEVELS, Forecast
from models.calibration import Calibration, online_bias
from models.classical.ridge import LogRidge
from models.neural.heads.pareto import Pareto
from training.config import TrainingConfig
from training.fit import train


def answer_group(
    group: Group, plan: AblationPlan, config: TrainingConfig, progress: Progress = no_progress
) -> list[Answered]:
    """Forecasts of all models for all recordings of a group.

    The network learns from all recordings together; a ridge is fitted to each by itself; all tails are those of the
    standardised returns of the training parts of all recordings together, which the network then corrects.
    """
    rungs = ladder_of(group.spec)
    found: dict[Key, list[Forecast]] = {(FLAT, ""): with_tails(group, [_flat(r) for r in group.recordings])}
    truths = [r.truth for r in group.recordings if r.truth is not None]
    if len(truths) == len(group.recordings):
        found[TRUTH, ""] = _debiased(group, with_tails(group, truths), plan.calibration)
    for i, (rung, features) in enumerate(rungs.items()):
        panels = [narrowed(r.panel, features) for r in group.recordings]
        pasts = [panel.until(r.test_ns) for panel, r in zip(panels, group.recordings, strict=True)]
        ridges = [_ridge(past, panel) for past, panel in zip(pasts, panels, strict=True)]
        found[RIDGE, rung] = _debiased(group, with_tails(group, ridges), plan.calibration)
        network = train(pasts, config).forecaster
        found[NETWORK, rung] = _debiased(group, [network.forecast(panel) for panel in panels], plan.calibration)
        progress(i + 1, len(rungs))
    return [Answered(r, {key: f[i] for key, f in found.items()}) for i, r in enumerate(group.recordings)]


def _flat(recording: Recording) -> FloatArray:
    """Mean realised variance of the training part, at every origin."""
    mean = np.nanmean(recording.past.targets.realised_variance, axis=0)
    return np.broadcast_to(mean, (len(recording.panel), len(mean)))


def _ridge(past: Panel, panel: Panel) -> FloatArray:
    return LogRidge(past.spec.features).fit(past).forecast(panel).variance


def with_tails(group: Group, variances: Sequence[FloatArray]) -> list[Forecast]:
    """Forecasts of these variances, with the tails of the training parts' standardised returns."""
    pasts = [r.past for r in group.recordings]
    residuals = [p.targets.log_return / np.sqrt(v[: len(p)]) for p, v in zip(pasts, variances, strict=True)]
    head = Pareto({}, len(group.spec.horizons_s))
    head.measure(np.concatenate(residuals))
    with torch.inference_mode():
        shape = head(torch.zeros(1, len(group.spec.horizons_s), head.n_outputs))
    quantiles, shortfall = (part.double().numpy() for part in shape)  # (1, horizon, level)
    forecasts = []
    for recording, variance in zip(group.recordings, variances, strict=True):
        scale, panel = np.sqrt(variance)[..., None], recording.panel
        own = np.asarray(panel.origin_ns), panel.spec.horizons_s, np.array(variance), LEVELS
        forecasts.append(Forecast(*own, quantiles * scale, shortfall * scale))
    return forecasts


def _debiased(group: Group, raw: Sequence[Forecast], settings: Calibration) -> list[Forecast]:
    return [debiased(f, r.panel, settings) for f, r in zip(raw, group.recordings, strict=True)]


def debiased(raw: Forecast, panel: Panel, settings: Calibration) -> Forecast:
    """Multiply variances by what realised variance exceeded them by of late; quantiles go along."""
    columns = [
        online_bias(raw.variance[:, h], panel.targets.realised_variance[:, h], ahead, settings)
        for h, ahead in enumerate(panel.spec.horizon_rows)
    ]
    bias = np.stack(columns, axis=1)
    scale = np.sqrt(bias)[..., None]
    variance, tails = raw.variance * bias, (raw.quantiles * scale, raw.shortfall * scale)
    return Forecast(raw.origin_ns, raw.horizons_s, variance, raw.levels, *tails)
