"""A trained forecaster as a folder of files whose hashes are told; never a pickled class.

``weights-0.safetensors`` and so on hold each network's state, ``network-0.onnx`` and so on, where they were asked for,
its exported form, ``model.json`` everything else: configurations, what the networks read with its fitted classical
models (:mod:`models.state`), feature spec with its hash, provenance, and the SHA-256 of every other file.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
from safetensors import SafetensorError

from features.errors import DataError, FormatError, MissingFileError, SettingError
from features.files import sha256_of, sha256_of_file, write_json, written_whole
from features.spec import FeatureSpec
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import Reader
from models.neural.network import Network, NetworkConfig
from models.onnx import OnnxForecaster
from models.state import from_state, to_state

FORMAT, CARD = 2, "model.json"
KEYS = {"format", "networks", "reader", "spec", "spec_sha256", "files", "provenance", "model_id"}
RESTORE = "restore the artefact or train again"


def weights_name(number: int) -> str:
    """File of a network's weights."""
    return f"weights-{number}.safetensors"


def onnx_name(number: int) -> str:
    """File of a network's exported form."""
    return f"network-{number}.onnx"


def save(forecaster: NeuralForecaster, folder: Path, provenance: Mapping[str, Any], *, with_onnx: bool = False) -> str:
    """Write an artefact folder whole; answers the model's id.

    Parameters
    ----------
    forecaster : trained networks with what they read.
    folder : must not exist yet.
    provenance : JSON values to keep: instruments, training window, data hash, code version.
    with_onnx : also export the networks, some seconds for each configuration.

    Raises
    ------
    FormatError
        If onnxruntime's numbers are not torch's, or a fitted model cannot be kept as a state; nothing is written.
    """
    with written_whole(folder) as scratch:
        scratch.mkdir()
        for number, net in enumerate(forecaster.nets):
            state = {name: value.contiguous().cpu() for name, value in net.state_dict().items()}
            # save_file would make a file that none but its owner may read
            (scratch / weights_name(number)).write_bytes(safetensors.torch.save(state))
        if with_onnx:
            _export(forecaster, scratch)
        card = {
            "format": FORMAT,
            "networks": [to_state(net.config) for net in forecaster.nets],
            "reader": to_state(forecaster.reader),
            "spec": asdict(forecaster.spec),
            "spec_sha256": forecaster.spec.hash,
            "files": {path.name: sha256_of_file(path) for path in sorted(scratch.iterdir())},
            "provenance": dict(provenance),
        }
        model_id = sha256_of(card)
        write_json(scratch / CARD, card | {"model_id": model_id})
    return model_id


def _export(forecaster: NeuralForecaster, folder: Path) -> None:
    from models.onnx_export import exported  # noqa: PLC0415 - serving does without the exporter and what it loads

    for number, content in enumerate(exported(forecaster.nets)):
        (folder / onnx_name(number)).write_bytes(content)


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check ``model.json``.

    Raises
    ------
    MissingFileError, FormatError
        If it is not there, is no JSON, is of another format, or was changed after it was written.
    """
    path = folder / CARD
    if not path.is_file():
        inner = sorted(found.parent.name for found in folder.glob(f"*/{CARD}"))
        remedy = f"name {folder / inner[0]}" if inner else "name the folder of a model; `margincast train` makes one"
        raise MissingFileError(f"{path}: no such file; {remedy}")
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stated = card.pop("model_id")
        found, own = card.get("format"), sha256_of(card)  # NaN, which Python reads, has no hash
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path}: not a model card ({error!r}); {RESTORE}") from error
    if found != FORMAT:
        raise FormatError(f"{path}: is of format {found!r}, this code reads format {FORMAT}; train again")
    if own != stated:
        raise FormatError(f"{path}: was changed after training (hash differs); {RESTORE}")
    if set(card) | {"model_id"} != KEYS:
        raise FormatError(f"{path}: has the keys {', '.join(sorted(card))}; train again")
    return card | {"model_id": stated}


def load(folder: Path, runtime: Literal["torch", "onnx"] = "torch") -> NeuralForecaster:
    """Read an artefact back, checked against its hashes.

    Parameters
    ----------
    runtime : what evaluates the networks; ``onnx`` needs an artefact that was saved with it.

    Raises
    ------
    MissingFileError, FormatError
        If a file is missing, damaged, or not what ``model.json`` says.
    SettingError
        If the artefact holds no exported networks, or there is no such runtime.
    """
    card = read_card(folder)
    contents = _contents(folder, card["files"])
    spec = FeatureSpec.from_json(card["spec"])
    if spec.hash != card["spec_sha256"]:
        raise FormatError(f"{folder / CARD}: its feature spec does not have the hash that it names; train again")
    reader = from_state(card["reader"])
    if not isinstance(reader, Reader):
        raise FormatError(f"{folder / CARD}: its reader is a {type(reader).__name__}; train again")
    nets = tuple(_network(folder, number, kept, contents) for number, kept in enumerate(card["networks"]))
    forecaster = NeuralForecaster(nets, reader, spec)
    if runtime == "torch":
        return forecaster
    if runtime != "onnx":
        raise SettingError(f"unknown runtime {runtime!r}; known: onnx, torch")
    if onnx_name(0) not in contents:
        raise SettingError(f"{folder}: holds no exported networks; serve it with torch, or save it with ONNX")
    return OnnxForecaster.of(forecaster, [contents[onnx_name(number)] for number in range(len(nets))])


def _contents(folder: Path, files: Mapping[str, str]) -> dict[str, bytes]:
    """Bytes of every file, each what ``model.json`` names; what is hashed is what is read."""
    there = {path.name for path in folder.iterdir()} - {CARD}
    if missing := sorted(name for name in files if name not in there or not (folder / name).is_file()):
        raise MissingFileError(f"{folder / missing[0]}: no such file; {RESTORE}")
    if extra := sorted(there - set(files)):
        raise FormatError(f"{folder / extra[0]}: is not a file that {CARD} names; remove it, or {RESTORE}")
    contents = {name: (folder / name).read_bytes() for name in files}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != files[name]:
            raise FormatError(f"{folder / name}: not the file that {CARD} names (hash differs); {RESTORE}")
    return contents


def _network(folder: Path, number: int, kept: object, contents: Mapping[str, bytes]) -> Network:
    """One network with its weights, ready to forecast."""
    name = weights_name(number)
    try:
        config = from_state(kept)
        if not isinstance(config, NetworkConfig):
            raise FormatError(f"its configuration is a {type(config).__name__}")
        net = Network(config)
        net.load_state_dict(safetensors.torch.load(contents[name]))
    except (DataError, SafetensorError, RuntimeError, KeyError) as error:
        raise FormatError(f"{folder / name}: does not fit the network ({error}); train again") from error
    return net.eval()
