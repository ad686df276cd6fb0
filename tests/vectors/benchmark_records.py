"""The published benchmark sensitivities and add-ons as records of the aggregator."""

from collections.abc import Mapping
from typing import Any

from serving.margin.sensitivity.margin import Addons
from serving.margin.sensitivity.records import Sensitivity
from tests.vectors.benchmark_calibration import CALCULATION_CURRENCY, DAYS, PARAMETERS

RISK_TYPES = {
    "Risk_IRCurve": ("rates", "delta"),
    "Risk_Inflation": ("rates", "delta"),
    "Risk_XCcyBasis": ("rates", "delta"),
    "Risk_IRVol": ("rates", "vega"),
    "Risk_InflationVol": ("rates", "vega"),
    "Risk_FX": ("fx", "delta"),
    "Risk_FXVol": ("fx", "vega"),
    "Risk_CreditQ": ("credit_q", "delta"),
    "Risk_CreditVol": ("credit_q", "vega"),
    "Risk_BaseCorr": ("credit_q", "base"),
    "Risk_CreditNonQ": ("credit_nonq", "delta"),
    "Risk_CreditVolNonQ": ("credit_nonq", "vega"),
    "Risk_Equity": ("equity", "delta"),
    "Risk_EquityVol": ("equity", "vega"),
    "Risk_Commodity": ("commodity", "delta"),
    "Risk_CommodityVol": ("commodity", "vega"),
}
SPECIAL_LABELS = {"Risk_Inflation": "inflation", "Risk_InflationVol": "inflation", "Risk_XCcyBasis": "basis"}


def records(row: Mapping[str, str], horizon: str) -> list[Sensitivity]:
    """A published sensitivity as the aggregator takes it; a vega also as the curvature that it implies."""
    risk_class, measure = RISK_TYPES[row["riskType"]]
    if row["riskType"] == "Risk_FX" and row["qualifier"] == CALCULATION_CURRENCY:
        return []  # its own currency is no risk
    fields: dict[str, Any] = {
        "risk_class": risk_class,
        "product": row["productClass"],
        "qualifier": _qualifier(row),
        "bucket": {"rates": row["qualifier"], "fx": "fx"}.get(risk_class, row["bucket"] or "base"),
        "label1": SPECIAL_LABELS.get(row["riskType"], row["label1"]),
        "label2": row["label2"],
    }
    amount = float(row["amountUsd"])
    found = [Sensitivity(measure=measure, amount=amount, **fields)]  # type: ignore[arg-type]
    if measure == "vega" and not (risk_class == "equity" and row["bucket"] in PARAMETERS["equity"]["no_curvature"]):
        curvature = amount * 0.5 * min(1.0, DAYS[horizon] / _days(row["label1"]))
        found.append(Sensitivity(measure="curvature", amount=curvature, **fields))
    return found


def _qualifier(row: Mapping[str, str]) -> str:
    """Name; a pair of currencies is the same in either order."""
    name = row["qualifier"]
    return "".join(sorted((name[:3], name[3:]))) if row["riskType"] == "Risk_FXVol" else name


def _days(tenor: str) -> float:
    return float(tenor[:-1]) * {"w": 7.0, "m": 365 / 12, "y": 365.0}[tenor[-1].lower()]


def addons(names: Mapping[str, Any], multiplied: bool = False) -> Addons:
    """Add-ons that a case names."""
    known = PARAMETERS["addons"]
    percents = {known["factors"][f]["product"]: known["factors"][f]["percent"] for f in names.get("factors", ())}
    notionals = [known["notionals"][n] for n in names.get("notional", ())]
    return Addons(
        fixed_usd=tuple(known["fixed_usd"][f] for f in names.get("fixed", ())),
        notional=tuple((percents[n["product"]] / 100, n["usd"]) for n in notionals if n["product"] in percents),
        multipliers=known["multipliers"] if multiplied else {},
    )
