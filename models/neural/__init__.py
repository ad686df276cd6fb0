"""Networks: an encoder of the past and a head that shapes the law, each one file and one line of a table.

``ENCODERS`` turn what is known at an origin into one vector, ``HEADS`` turn a network's outputs into the law of the
standardised return; :class:`models.neural.network.Network` joins one of each to a bounded correction of an anchor.
"""

from models.neural.encoders.base import Encoder
from models.neural.encoders.gru import Gru
from models.neural.encoders.mlp import Mlp
from models.neural.encoders.patches import Patches
from models.neural.encoders.pyramid import Pyramid
from models.neural.heads.base import Head
from models.neural.heads.pareto import Pareto
from models.neural.heads.quantiles import Quantiles
from models.neural.heads.skew_t import SkewT

ENCODERS: dict[str, type[Encoder]] = {"gru": Gru, "mlp": Mlp, "patches": Patches, "pyramid": Pyramid}
HEADS: dict[str, type[Head]] = {"pareto": Pareto, "quantiles": Quantiles, "skew_t": SkewT}
