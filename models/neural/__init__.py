"""Networks, one file each; ``NETWORKS`` holds what an artefact can name."""

from models.neural.residual import ResidualConfig, ResidualNet

NETWORKS = {"residual": (ResidualConfig, ResidualNet)}
