"""A trained network as two files, weights and JSON; never a pickled class.

``weights.safetensors`` holds the state, ``model.json`` everything else: the
registered name, configuration, feature spec with its hash, anchor, training
window, code version and the SHA-256 of the weights.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError

from features.errors import FormatError, MissingFileError
from features.files import sha256_of, sha256_of_file, write_json, written_whole
from features.spec import FeatureSpec
from models.classical.log_har import LogHar
from models.neural import NETWORKS
from models.neural.forecaster import NeuralForecaster

WEIGHTS, CARD = "weights.safetensors", "model.json"


def save(forecaster: NeuralForecaster, folder: Path, provenance: dict[str, Any]) -> str:
    """Write an artefact folder whole; answers the model's id.

    Parameters
    ----------
    forecaster : trained network with its anchor.
    folder : must not exist yet.
    provenance : JSON values to keep: training window, data hash, code version.
    """
    with written_whole(folder) as scratch:
        scratch.mkdir()
        state = {name: value.contiguous() for name, value in forecaster.net.state_dict().items()}
        safetensors.torch.save_file(state, scratch / WEIGHTS)
        card = {
            "network": "residual",
            "config": asdict(forecaster.net.config),
            "spec": asdict(forecaster.spec),
            "spec_sha256": forecaster.spec.hash,
            "anchor": forecaster.anchor.to_json(),
            "weights_sha256": sha256_of_file(scratch / WEIGHTS),
            "provenance": provenance,
        }
        write_json(scratch / CARD, card | {"model_id": sha256_of(card)})
    return sha256_of(card)


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check ``model.json``.

    Raises
    ------
    MissingFileError, FormatError
        If it is not there, is no JSON, or was changed after it was written.
    """
    path = folder / CARD
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; run `margincast demo` to train a model, or name its folder")
    try:
        card: dict[str, Any] = json.loads(path.read_text())
        stated = card.pop("model_id")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise FormatError(f"{path}: not a model card ({error!r}); restore the artefact or train again") from error
    if sha256_of(card) != stated:
        raise FormatError(f"{path}: was changed after training (hash differs); restore the artefact or train again")
    return card | {"model_id": stated}


def load(folder: Path) -> NeuralForecaster:
    """Read an artefact back, checked against its hashes.

    Raises
    ------
    MissingFileError, FormatError
        If a file is missing, damaged, or not what ``model.json`` says.
    """
    card = read_card(folder)
    weights = folder / WEIGHTS
    if not weights.is_file():
        raise MissingFileError(f"{weights}: no such file; restore the artefact or train again")
    if sha256_of_file(weights) != card["weights_sha256"]:
        raise FormatError(f"{weights}: not the weights that {CARD} names (hash differs); restore the artefact")
    config_type, net_type = NETWORKS[card["network"]]
    net = net_type(config_type(**card["config"]))
    try:
        net.load_state_dict(safetensors.torch.load_file(weights))
    except (SafetensorError, RuntimeError) as error:
        raise FormatError(f"{weights}: does not fit the network ({error}); train again") from error
    spec = FeatureSpec.from_json(card["spec"])
    if spec.hash != card["spec_sha256"]:
        raise FormatError(f"{folder / CARD}: its feature spec does not have the hash that it names; train again")
    return NeuralForecaster(net.eval(), LogHar.from_json(card["anchor"]), spec)
