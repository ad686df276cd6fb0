"""The main job as an MLflow run, its model the registry's champion."""

from dataclasses import asdict

from backtests.demo_plan import NETWORK, DemoPlan, DemoResult
from features.clock import HOUR_S
from models.artefact import read_card
from models.base import LEVELS
from training.config import TrainingConfig
from training.tracking import CHALLENGER, CHAMPION, RunRecord, Tracking

DEMO = "demo"
TEXT_FIELDS = ("model", "horizon_s", "side")


def track(
    result: DemoResult, plan: DemoPlan, config: TrainingConfig, tracking: Tracking, now_ms: int
) -> tuple[int, str]:
    """Log the run once and register its model; answers the model's version and alias.

    A demo's model is the champion where there is none, or another demo's; one that was promoted by a test it leaves.
    """
    metrics: dict[str, float] = {}
    for score in result.scores:
        prefix = f"{score.model}/{score.horizon_s // HOUR_S}h"
        metrics |= {f"{prefix}/{k}": float(v) for k, v in score.to_json().items() if k not in TEXT_FIELDS}
    for margin in result.margins:
        prefix = f"{margin.model}/margin_{margin.side}"
        metrics |= {f"{prefix}/{k}": float(v) for k, v in margin.to_json().items() if k not in TEXT_FIELDS}
    hours = [h // HOUR_S for h in plan.spec.horizons_s]
    for model, shares in result.reliability.items():
        for hour, share in zip(hours, shares, strict=True):
            named = zip(LEVELS, share, strict=True)
            metrics |= {f"{model}/reliability_{hour}h/q_{level:g}": float(value) for level, value in named}
    epochs = {name: [epoch[name] for epoch in result.history] for name in result.history[0]}
    provenance = read_card(result.model_folder)["provenance"]
    params = config.model_dump() | asdict(plan.policy) | asdict(plan.calibration)
    params |= {k: provenance[k] for k in ("instrument", "trained_from", "trained_until", "data_sha256", "code_sha256")}
    params |= {
        "model_id": result.model_id,
        "feature_spec_sha256": plan.spec.hash,
        "network": NETWORK,
    }
    record = RunRecord(
        key=result.key,
        name=f"demo {result.instrument}",
        params=params,
        metrics=metrics,
        series={f"epoch/{name}": values for name, values in epochs.items()},
        files={
            "model": result.model_folder,
            "report": result.report,
            "scores": result.out / "scores.json",
        },
        time_ms=now_ms,
    )
    run_id = tracking.log(record)
    holder = tracking.registry.holder(CHAMPION)
    is_free = holder is None or holder.run_id == run_id or holder.tags.get("made_by") == DEMO
    alias = CHAMPION if is_free else CHALLENGER
    return tracking.registry.register(run_id, "model", alias, {"made_by": DEMO}), alias
