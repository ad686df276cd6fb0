"""Families of the realised measures that no rolling sum gives: computed anew from each window."""

from features.families.family import Family, Look
from features.families.variance import ROLLED, log_rate_if_any
from features.measures import MEASURES, Measure
from features.measures.table import VARIANCE
from features.terms import Floats


def _family(measure: Measure) -> Family:
    is_variance = measure.unit == VARIANCE

    def compute(look: Look, log_returns: Floats) -> Floats:
        found: Floats = measure.compute(log_returns)
        return log_rate_if_any(look, found) if is_variance else found

    formula = f"ln({measure.formula.split(' = ')[0]} / h), {measure.formula}" if is_variance else measure.formula
    return Family(formula, "log variance per hour" if is_variance else measure.unit, direct=(("log_return",), compute))


MEASURED_FAMILIES: dict[str, Family] = {
    f"log_{name}" if measure.unit == VARIANCE else name: _family(measure)
    for name, measure in MEASURES.items()
    if measure.inputs == "returns" and name not in ROLLED
}
