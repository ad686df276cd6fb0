"""What a trained network's forecasts hang on: over many of them by input and horizon, and one of them in particular.

:func:`permutation` tells what forecasts lose without an input, :func:`integrated_gradients` how far each moves them
from the anchor's, :func:`explain` why one forecast lies above or below its anchor's.
"""

from models.neural.importance.explanation import Explanation, explain
from models.neural.importance.gradients import integrated_gradients
from models.neural.importance.parts import SUBJECTS, subject
from models.neural.importance.results import Importances
from models.neural.importance.shuffled import permutation

__all__ = ["SUBJECTS", "Explanation", "Importances", "explain", "integrated_gradients", "permutation", "subject"]
