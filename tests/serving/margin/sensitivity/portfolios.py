"""Rules in which every term counts, and random sensitivities for them."""

import numpy as np
from hypothesis import strategies as st

from serving.margin.sensitivity.calibration import Calibration, Matrix, Rules
from serving.margin.sensitivity.records import Measure, Sensitivity

BUCKETS = ("a", "b", "rest")
TENORS = ("1m", "1y", "other")


def rules(thresholds: bool = True, by: str = "name", curvature: bool = False) -> Rules:
    """Three buckets, one of them residual, three tenors, two curves, concentration."""
    usual = Matrix.lower(["a", "b"], [[0.4]])
    return Rules(
        weights={("a", "1m"): 1.5, ("a", "*"): 2.0, ("b", "*"): 3.0, ("rest", "*"): 5.0, ("small", "*"): 4.0},
        names_differ=Matrix(
            (*BUCKETS, "small"),
            np.array([[0.3, 0, 0, 0.2], [0, 0.5, 0, 0.1], [0, 0, 0.0, 0.05], [0.2, 0.1, 0.05, 0.25]]),
        ),
        across=usual,
        scale={}
        if curvature
        else {(g, "*"): s for g, s in zip((*BUCKETS, "small"), (1.0, 0.5, 2.0, 1.5), strict=True)},
        groups={"y": "small"},
        size_groups={"x": "big"},
        thresholds={"big": 50.0, "a": 20.0, "b": 15.0, "rest": 10.0, "small": 5.0} if thresholds else {},
        concentrated_by="name" if by == "name" else "bucket",
        unconcentrated=frozenset({"other"}),
        labels=frozenset({"label1", "label2"}),
        names_same={"a": 0.95, "b": 0.9, "rest": 0.8, "small": 0.85},
        tenors=Matrix.lower(TENORS, [[0.7], [0.1, 0.2]]),
        curves=0.98,
        residual=frozenset({"rest"}),
        multiplier=1.1,
    )


def calibration() -> Calibration:
    """Two classes with all measures."""
    own: dict[str, Rules] = {m: rules() for m in ("delta", "vega", "base")}
    own["curvature"] = rules(thresholds=False, curvature=True)
    return Calibration("test", {"one": own, "two": own}, Matrix.lower(["one", "two"], [[0.3]]))


def of(measure: Measure, bucket: str, name: str, amount: float, label1: str = "1m", label2: str = "") -> Sensitivity:
    """One sensitivity of the class ``one``."""
    return Sensitivity(
        risk_class="one", measure=measure, bucket=bucket, qualifier=name, amount=amount, label1=label1, label2=label2
    )


def sensitivities(measure: Measure) -> st.SearchStrategy[list[Sensitivity]]:
    """Random portfolios of one measure."""
    one = st.builds(
        of,
        st.just(measure),
        st.sampled_from(BUCKETS),
        st.sampled_from(("x", "y", "z")),
        st.floats(-100, 100).map(lambda x: round(x, 3)),
        st.sampled_from(TENORS),
        st.sampled_from(("", "p", "q")),
    )
    return st.lists(one, min_size=1, max_size=12)
