"""The network: starts at its anchor, stays in bounds, closed forms right, artefact safe."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from features.errors import FormatError, MissingFileError, SettingError
from features.panel import Panel
from features.pipeline import compute_panel
from features.spec import FeatureSpec
from models import artefact
from models.base import LEVELS
from models.neural.forecaster import NeuralForecaster, padded_windows
from models.neural.residual import INNER, TAIL, Law, ResidualConfig, ResidualNet
from models.tails import normal_quantiles, normal_shortfall


def fresh(**sizes: float) -> ResidualNet:
    torch.manual_seed(0)
    return ResidualNet(ResidualConfig(n_features=3, n_horizons=2, window=16, **sizes)).eval()  # type: ignore[arg-type]


def law_of(net: ResidualNet, scale: float = 1.0) -> Law:
    with torch.no_grad():
        law: Law = net(scale * torch.randn(64, 16, 3), torch.linspace(-9, -6, 128).view(64, 2))
    return law


def test_an_untrained_network_is_its_anchor() -> None:
    law = law_of(fresh())
    torch.testing.assert_close(law.log_variance, torch.linspace(-9, -6, 128).view(64, 2))
    assert (law.quantiles == law.quantiles[0]).all()


def test_however_wild_the_weights_the_forecast_stays_in_bounds() -> None:
    net = fresh(variance_bound=0.7)
    with torch.no_grad():
        net.head.weight.normal_(0, 50)
    law = law_of(net, scale=100.0)
    correction = law.log_variance - torch.linspace(-9, -6, 128).view(64, 2)
    assert correction.abs().max() <= 0.7 + 1e-5
    assert correction.abs().max() > 0.6  # the bound is reached, so it is the bound that holds
    assert (law.quantiles.diff(dim=-1) > 0).all()
    side = torch.tensor([1.0 if p > 0.5 else -1.0 for p in LEVELS])
    assert (side * (law.shortfall - law.quantiles) > 0).all()
    lower = law.shortfall[..., :6]
    assert (lower.diff(dim=-1) > 0).all()  # a mean further out is further out
    assert (law.shortfall[..., 6:].diff(dim=-1) > 0).all()


def test_the_pareto_tails_are_scipys() -> None:
    net = fresh()
    beta, xi, u = 0.5, 0.15, 0.6 * 3  # three steps of 0.6 from the median to 2.5 %
    law = law_of(net)
    tail = stats.genpareto(xi, loc=u, scale=beta)
    for k, level in enumerate(LEVELS[:3]):
        q = tail.ppf(1 - level / TAIL) if level < TAIL else u
        assert float(law.quantiles[0, 0, k]) == pytest.approx(-q, rel=1e-5)
        assert float(law.quantiles[0, 0, 10 - k]) == pytest.approx(q, rel=1e-5)
        mean = integrate.quad(lambda p: tail.ppf(1 - p / TAIL), 0, level)[0] / level
        assert float(law.shortfall[0, 0, k]) == pytest.approx(-mean, rel=1e-4)
        assert float(law.shortfall[0, 0, 10 - k]) == pytest.approx(mean, rel=1e-4)


def test_inner_shortfalls_are_exact_for_a_normal_law() -> None:
    """A base of normal quantiles, and tails whose mean is the normal's: the inner levels must be the normal's."""
    net = fresh()
    inner = normal_quantiles(INNER)
    beyond = -normal_shortfall((TAIL,))[0] + inner[0]  # mean excess over the threshold
    net.base_median.zero_()
    net.base_steps.copy_(torch.from_numpy(np.diff(inner)).float())
    xi = 0.05
    net.base_tails.copy_(torch.tensor([beyond * (1 - xi), xi]).expand(2, 2, 2))
    law = law_of(net)
    np.testing.assert_allclose(law.shortfall[0, 0, 2:9], normal_shortfall(LEVELS)[2:9], rtol=1e-5)
    np.testing.assert_allclose(law.quantiles[0, 0, 2:9], normal_quantiles(LEVELS)[2:9], atol=1e-6)


def test_the_pyramid_is_a_dilated_causal_convolution() -> None:
    """The same weights, evaluated at every step with dilation, agree where the last step looks."""
    net = fresh()
    x = torch.randn(5, 16, 3)
    with torch.no_grad():
        past = x.transpose(1, 2)
        for layer in net.pyramid:
            past = torch.nn.functional.silu(layer(past))
        slow = x.transpose(1, 2)
        for i, layer in enumerate(net.pyramid):
            assert isinstance(layer, torch.nn.Conv1d)
            padded = torch.nn.functional.pad(slow, (2**i, 0))
            slow = torch.nn.functional.silu(torch.nn.functional.conv1d(padded, layer.weight, layer.bias, dilation=2**i))
    torch.testing.assert_close(past[:, :, 0], slow[:, :, -1])


def test_padded_windows_end_at_their_row() -> None:
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    found = padded_windows(values, 3)
    assert found.shape == (5, 3, 2)
    np.testing.assert_array_equal(found[:, -1], values)
    np.testing.assert_array_equal(found[0], values[[0, 0, 0]])
    np.testing.assert_array_equal(found[4], values[2:])


def test_batches_do_not_change_a_forecast(
    network: NeuralForecaster, panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = network.forecast(panel)
    monkeypatch.setattr("models.neural.forecaster.BATCH", 700)
    parts = network.forecast(panel)
    np.testing.assert_allclose(whole.variance, parts.variance, rtol=1e-5)
    np.testing.assert_allclose(whole.quantiles, parts.quantiles, rtol=1e-4, atol=1e-8)


def test_features_of_another_spec_are_refused(network: NeuralForecaster, bars) -> None:  # type: ignore[no-untyped-def]
    other = FeatureSpec(horizons_s=(3_600, 14_400, 28_800, 43_200))
    with pytest.raises(SettingError, match="trained on feature spec"):
        network.forecast(compute_panel(bars, "BTCUSDT", other))


@pytest.mark.parametrize("window", [1, 48, 100])
def test_a_window_that_halving_would_cut_is_refused(window: int) -> None:
    with pytest.raises(SettingError, match="no power of two"):
        ResidualConfig(n_features=3, n_horizons=2, window=window)


def test_an_artefact_gives_the_same_forecasts_and_holds_no_pickle(
    network: NeuralForecaster, model_folder: Path, panel: Panel
) -> None:
    again = artefact.load(model_folder)
    np.testing.assert_array_equal(network.forecast(panel).quantiles, again.forecast(panel).quantiles)
    assert sorted(p.name for p in model_folder.iterdir()) == ["model.json", "weights.safetensors"]
    card = artefact.read_card(model_folder)
    assert card["spec_sha256"] == FeatureSpec().hash
    assert card["provenance"]["trained_until"] == "2020-06-30T23:00:00Z"


def edit_card(folder: Path) -> None:
    card = json.loads((folder / "model.json").read_text())
    card["config"]["variance_bound"] = 9.0
    (folder / "model.json").write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda d: (d / "model.json").unlink(), MissingFileError, "margincast demo"),
        (lambda d: (d / "model.json").write_text("{"), FormatError, "not a model card"),
        (lambda d: (d / "model.json").write_text("[1]"), FormatError, "not a model card"),
        (edit_card, FormatError, "changed after training"),
        (lambda d: (d / "weights.safetensors").unlink(), MissingFileError, "weights.safetensors"),
        (lambda d: (d / "weights.safetensors").write_bytes(b"junk"), FormatError, "hash differs"),
    ],
)
def test_a_damaged_artefact_is_refused(spoil, error, message: str, model_folder: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path / "copy"
    shutil.copytree(model_folder, folder)
    spoil(folder)
    with pytest.raises(error, match=message):
        artefact.load(folder)
