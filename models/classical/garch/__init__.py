from models.classical.garch.forecaster import GarchT
