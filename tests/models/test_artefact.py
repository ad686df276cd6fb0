"""An artefact gives the same forecasts, holds no pickle, and is refused where a file is not what was saved."""

import json
import os
import shutil
import stat
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from features.clock import parse_utc
from features.errors import DataError, FormatError, MissingFileError, SettingError
from features.files import sha256_of
from features.panel import Panel
from features.spec import FeatureSpec
from models import artefact
from models.diurnal import Diurnal
from models.neural.forecaster import NeuralForecaster
from models.neural.inputs import InputConfig, Reader
from models.neural.network import Network, NetworkConfig
from models.onnx import OnnxForecaster
from models.state import to_state

FILES = ["model.json", "network-0.onnx", "network-1.onnx", "weights-0.safetensors", "weights-1.safetensors"]
INPUTS = InputConfig("har_rich_pool", {"shrinkage": 0.1}, {"harq": {}, "ewma": {}}, "rich", ("log_rv", "move"))


@pytest.fixture(scope="module")
def forecaster(panel: Panel) -> NeuralForecaster:
    """Two untrained networks with weights of their own, of two instruments."""
    past = panel.until(parse_utc("2020-06-01"))
    reader = Reader.fit(INPUTS, [past, replace(past, instrument="ETHUSDT")])
    config = NetworkConfig(
        len(reader.names), reader.n_sequence, 4, encoder="mlp", encoder_options={"layers": [6]}, hidden=8,
        n_instruments=2, embedding=2,
    )  # fmt: skip
    torch.manual_seed(0)
    nets = tuple(Network(config).eval() for _ in range(2))
    for net in nets:
        torch.nn.init.normal_(net.out.weight, 0.0, 0.3)
    return NeuralForecaster(nets, reader, panel.spec)


@pytest.fixture(scope="module")
def folder(forecaster: NeuralForecaster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artefacts") / "two"
    artefact.save(forecaster, folder, {"instruments": ["BTCUSDT", "ETHUSDT"], "share": 0.5}, with_onnx=True)
    return folder


def forecasts(model: NeuralForecaster, panel: Panel) -> list[np.ndarray]:
    laws = [model.forecast(replace(panel, instrument=name)) for name in ("BTCUSDT", "ETHUSDT", "NEWUSDT")]
    return [getattr(law, part) for law in laws for part in ("variance", "quantiles", "shortfall")]


def test_an_artefact_gives_the_same_forecasts_and_holds_no_pickle(
    forecaster: NeuralForecaster, folder: Path, panel: Panel
) -> None:
    again = artefact.load(folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for found, expected in zip(forecasts(again, panel), forecasts(forecaster, panel), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert (again.reader.config, again.spec) == (forecaster.reader.config, panel.spec)
    assert [net.config for net in again.nets] == [net.config for net in forecaster.nets]
    assert not any(net.training for net in again.nets)
    assert not any(b"\x80\x04" in path.read_bytes()[:64] or b"PK" in path.read_bytes()[:4] for path in folder.iterdir())


def test_a_service_of_another_account_can_read_every_file(forecaster: NeuralForecaster, tmp_path: Path) -> None:
    former = os.umask(0o022)
    try:
        artefact.save(forecaster, tmp_path / "m", {})
    finally:
        os.umask(former)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "m").iterdir()} == {0o644}


def test_a_card_with_a_number_that_json_has_not_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    copy.mkdir()
    text = (folder / "model.json").read_text()
    assert '"dropout": 0.3' in text
    (copy / "model.json").write_text(text.replace('"dropout": 0.3', '"dropout": NaN', 1))
    with pytest.raises(FormatError, match=r"model\.json: not a model card .*restore the artefact or train again"):
        artefact.read_card(copy)
    with pytest.raises(MissingFileError, match=rf"no such file; name {copy}$"):
        artefact.read_card(tmp_path)


def test_the_card_says_what_is_there(folder: Path) -> None:
    card = artefact.read_card(folder)
    assert sorted(card["files"]) == FILES[1:]
    assert card["spec"] == json.loads(json.dumps(asdict(FeatureSpec())))
    assert card["spec_sha256"] == FeatureSpec().hash
    assert card["provenance"] == {"instruments": ["BTCUSDT", "ETHUSDT"], "share": 0.5}
    assert card["model_id"] == sha256_of({k: v for k, v in card.items() if k != "model_id"})


def test_onnxruntime_forecasts_what_torch_forecasts(folder: Path, panel: Panel) -> None:
    by_torch, by_onnx = artefact.load(folder), artefact.load(folder, "onnx")
    assert isinstance(by_onnx, OnnxForecaster)
    inputs = by_torch.reader.read(panel)
    for found, expected in zip(by_onnx.law(inputs), by_torch.law(inputs), strict=True):
        assert (np.abs(found - expected) <= 1e-5 * np.maximum(np.abs(expected), 1)).all()
    some = torch.tensor([5, 3_000, 7])
    np.testing.assert_allclose(by_onnx.law(inputs, some)[1], by_onnx.law(inputs)[1][some], rtol=1e-5, atol=1e-6)
    for found, expected in zip(forecasts(by_onnx, panel), forecasts(by_torch, panel), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)


def test_without_onnx_there_are_fewer_files_and_torch_serves(
    forecaster: NeuralForecaster, folder: Path, tmp_path: Path, panel: Panel
) -> None:
    plain = tmp_path / "plain"
    model_id = artefact.save(forecaster, plain, {})
    assert sorted(path.name for path in plain.iterdir()) == ["model.json", *FILES[3:]]
    assert model_id == artefact.read_card(plain)["model_id"] != artefact.read_card(folder)["model_id"]
    np.testing.assert_array_equal(
        artefact.load(plain).forecast(panel).variance, artefact.load(folder).forecast(panel).variance
    )
    with pytest.raises(SettingError, match="holds no exported networks"):
        artefact.load(plain, "onnx")
    with pytest.raises(SettingError, match="unknown runtime 'jax'; known: onnx, torch"):
        artefact.load(plain, "jax")  # type: ignore[arg-type]


def test_what_cannot_be_kept_leaves_nothing_behind(forecaster: NeuralForecaster, tmp_path: Path) -> None:
    stranger = replace(forecaster.reader, anchors={"": object()})  # type: ignore[dict-item]
    with pytest.raises(FormatError, match=r"Reader\.anchors\[''\]: a state cannot hold a object"):
        artefact.save(replace(forecaster, reader=stranger), tmp_path / "m", {})
    assert list(tmp_path.iterdir()) == []


def edited(change: Callable[[dict[str, Any]], object], *, sign: bool = True) -> Callable[[Path], None]:
    """Change the card; with a hash that fits, as one who knows how it is made would."""

    def spoil(folder: Path) -> None:
        card = json.loads((folder / "model.json").read_text())
        change(card)
        card.pop("model_id", None)
        if sign:
            card["model_id"] = sha256_of(card)
        (folder / "model.json").write_text(json.dumps(card))

    return spoil


def bit_turned(name: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    return spoil


def swapped(folder: Path) -> None:
    (folder / FILES[3]).rename(folder / "x")
    (folder / FILES[4]).rename(folder / FILES[3])
    (folder / "x").rename(folder / FILES[4])


def unsigned(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    card["networks"][0]["state"]["fields"]["variance_bound"] = 9.0
    (folder / "model.json").write_text(json.dumps(card))


OTHER = to_state(Diurnal.flat())
HOSTILE = {"version": 1, "state": {"class": "os.system", "fields": {"command": "true"}}}


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda d: (d / "model.json").unlink(), MissingFileError, "margincast train"),
        (lambda d: (d / "model.json").write_text("{"), FormatError, "not a model card"),
        (lambda d: (d / "model.json").write_text("[1]"), FormatError, "not a model card"),
        (lambda d: (d / "model.json").write_text('"text"'), FormatError, "not a model card"),
        (lambda d: (d / "model.json").write_text("[" * 100_000), FormatError, "not a model card"),
        (lambda d: (d / "model.json").write_bytes(b"\xff\xfe"), FormatError, "not a model card"),
        (edited(lambda _: None, sign=False), FormatError, "not a model card"),
        (unsigned, FormatError, "changed after training"),
        (edited(lambda c: c.pop("format")), FormatError, "is of format None, this code reads format 2; train again"),
        (edited(lambda c: c.update(format=3)), FormatError, "is of format 3"),
        (edited(lambda c: c.update(more=1)), FormatError, "has the keys"),
        (edited(lambda c: c.update(spec_sha256="0" * 64)), FormatError, "feature spec does not have the hash"),
        (edited(lambda c: c.update(reader=OTHER)), FormatError, "its reader is a Diurnal"),
        (edited(lambda c: c.update(reader=HOSTILE)), FormatError, "no class that a state may name"),
        (edited(lambda c: c["reader"].update(version=0)), FormatError, "of version 0"),
        (edited(lambda c: c["networks"].__setitem__(1, OTHER)), FormatError, "its configuration is a Diurnal"),
        (edited(lambda c: c["networks"].__setitem__(1, HOSTILE)), FormatError, "no class that a state may name"),
        (edited(lambda c: c["networks"].append(c["networks"][0])), FormatError, "weights-2"),
        (edited(lambda c: c["networks"][0]["state"]["fields"].update(hidden=9)), FormatError, "does not fit"),
        (edited(lambda c: c["files"].update({"../x": "0"})), MissingFileError, "no such file"),
        *[(lambda d, n=n: (d / n).unlink(), MissingFileError, n) for n in FILES[1:]],
        *[(lambda d, n=n: (d / n).write_bytes(b"junk"), FormatError, f"{n}: not the file") for n in FILES[1:]],
        *[(bit_turned(n), FormatError, f"{n}: not the file") for n in FILES[1:]],
        (lambda d: (d / FILES[3]).rename(d / "weights-9.safetensors"), MissingFileError, "weights-0"),
        (swapped, FormatError, "weights-0.safetensors: not the file"),
        (lambda d: (d / "code.py").write_text(""), FormatError, r"code\.py: is not a file that model\.json names"),
        (lambda d: (d / "more").mkdir(), FormatError, r"more: is not a file that model\.json names"),
    ],
)
def test_a_damaged_artefact_is_refused(
    spoil: Callable[[Path], object], error: type[DataError], message: str, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    artefact.load(copy)
    spoil(copy)
    for runtime in ("torch", "onnx"):
        with pytest.raises(error, match=message):
            artefact.load(copy, runtime)


def test_weights_of_another_shape_are_refused(forecaster: NeuralForecaster, tmp_path: Path) -> None:
    wider = Network(replace(forecaster.nets[0].config, hidden=9))
    artefact.save(replace(forecaster, nets=(wider,)), tmp_path / "wide", {})
    spoil = edited(lambda c: c.update(networks=[to_state(forecaster.nets[0].config)]))
    spoil(tmp_path / "wide")
    with pytest.raises(FormatError, match="does not fit the network"):
        artefact.load(tmp_path / "wide")
