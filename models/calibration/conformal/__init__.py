"""Online conformal calibration of standardised quantiles, learned from windows that have ended.

``CONFORMAL`` holds the methods by the name that configurations use.
"""

from models.calibration.conformal.aci import Aci
from models.calibration.conformal.base import Axis, Conformal, Scale, Series, pool_offset
from models.calibration.conformal.conditional import Conditional
from models.calibration.conformal.integrator import Integrator
from models.calibration.conformal.tracker import Tracker
from models.calibration.conformal.weighted import Weighted

CONFORMAL: dict[str, Conformal] = {
    "tracker": Tracker(),
    "integrator": Integrator(),
    "aci": Aci(),
    "weighted": Weighted(),
    "conditional": Conditional(),
}

__all__ = [
    "CONFORMAL",
    "Aci",
    "Axis",
    "Conditional",
    "Conformal",
    "Integrator",
    "Scale",
    "Series",
    "Tracker",
    "Weighted",
    "pool_offset",
]
