"""Feature families, by subject; a new family is one line in one of these tables."""

from features.families.book import BOOK_FAMILIES, BOOK_FAMILIES_OF_N
from features.families.calendar import CALENDAR_FAMILIES
from features.families.carry import CARRY_FAMILIES
from features.families.cross import CROSS_FAMILIES
from features.families.family import Family
from features.families.flow import FLOW_FAMILIES
from features.families.measured import MEASURED_FAMILIES
from features.families.variance import VARIANCE_FAMILIES

FAMILIES: dict[str, Family] = {
    **VARIANCE_FAMILIES,
    **MEASURED_FAMILIES,
    **FLOW_FAMILIES,
    **BOOK_FAMILIES,
    **CARRY_FAMILIES,
    **CALENDAR_FAMILIES,
}
"""By name; those of ``CROSS_FAMILIES`` need a leader in front, those of ``BOOK_FAMILIES_OF_N`` a number behind."""

__all__ = ["BOOK_FAMILIES_OF_N", "CROSS_FAMILIES", "FAMILIES", "Family"]
