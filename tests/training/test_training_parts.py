"""The parts of a run: what a batch holds, what its loss is, how the weights are averaged and the rate falls."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from features.panel import Panel
from models.base import LEVELS
from models.neural.clocks import Clock
from models.neural.inputs import InputConfig, Reader
from models.neural.network import Network
from models.scores import fz0_of_tails, pinball, qlike
from tests.training.panels import small_panel
from training.data import Batches, Table, WindowData, split, stream
from training.losses import loss_of_batch, qlike_of_batch
from training.module import rate
from training.settings import LossSettings, NetworkSettings
from training.weights import MeanWeights


@pytest.fixture(scope="module")
def small() -> Panel:
    return small_panel()


@pytest.fixture(scope="module")
def reader(small: Panel) -> Reader:
    return Reader.fit(InputConfig(), [small])


@pytest.fixture(scope="module")
def table(small: Panel, reader: Reader) -> Table:
    return Table.of(reader, [small], LossSettings())


def network(table: Table) -> Network:
    """One whose outputs are not those of its anchor."""
    torch.manual_seed(0)
    settings = NetworkSettings(encoder="mlp", hidden=8, dropout=0.0, input_dropout=0.0)
    net = Network(settings.sized(table.inputs.last.shape[1], table.inputs.sequence.shape[1], 4, 1))
    torch.nn.init.normal_(net.out.weight, std=0.3)
    return net


def test_a_batch_holds_what_came_before_and_after_its_rows(small: Panel, table: Table, reader: Reader) -> None:
    rows = torch.tensor([700, 3, 1_499])
    batch = table.batch(rows, [Clock(1, 4)])
    scaled = reader.sequence_scaling.apply(small.values)[0]
    np.testing.assert_array_equal(batch.past[0][0], scaled[697:701])
    np.testing.assert_array_equal(batch.past[0][1], scaled[0:4])
    anchor = np.exp(reader.log_anchor(small)[rows])
    targets = small.targets.rows(0, len(small))
    known = np.isfinite(targets.realised_variance[rows])
    assert known.tolist() == [[True] * 4, [True] * 4, [False] * 4]
    np.testing.assert_array_equal(batch.weight > 0, known)
    np.testing.assert_allclose(batch.full_ratio[:2], (targets.realised_variance[rows] / anchor)[:2], rtol=1e-5)
    np.testing.assert_allclose(batch.z[:2], (targets.log_return[rows] / np.sqrt(anchor))[:2], rtol=1e-5)
    assert torch.isfinite(batch.z).all()


def test_a_cap_and_a_half_life_do_as_they_say(small: Panel, reader: Reader, table: Table) -> None:
    settings = LossSettings(ratio_cap=1.5, half_life_days=10, horizon_weights=(1, 0.5, 2, 1))
    other = Table.of(reader, [small], settings)
    assert other.ratio.max() == 1.5 < other.full_ratio.max()
    torch.testing.assert_close(other.ratio, table.ratio.clamp(max=1.5))
    np.testing.assert_allclose(other.weight[1_000] / other.weight[1_000 - 240], [2, 2, 2, 2], rtol=1e-5)
    assert other.weight[-100].tolist() == pytest.approx([w * 0.5 ** (99 / 240) for w in (1, 0.5, 2, 1)])


def test_the_loss_is_that_of_a_loop_over_what_is_known(table: Table) -> None:
    """Row by row and horizon by horizon in double precision, the scores being those of the backtests."""
    net, rows = network(table), torch.arange(1_440, 1_490)  # some have an outcome at the first horizons alone
    batch = table.batch(rows, [])
    settings = LossSettings(pinball_weight=3.0, fz0_weight=0.5)
    with torch.no_grad():
        law = net(batch.last, batch.past, table.inputs.anchor[rows], batch.instrument)
    losses = []
    for i, row in enumerate(rows.tolist()):
        for h in range(4):
            if table.weight[row, h] == 0:
                continue
            correction = float(law.log_variance[i, h] - table.inputs.anchor[row, h])
            z = np.array(float(table.z[row, h]) * np.exp(-correction / 2))
            quantiles, shortfall = law.quantiles[i, h].double().numpy(), law.shortfall[i, h].double().numpy()
            loss = float(qlike(np.array(float(table.ratio[row, h])), np.array(np.exp(correction))))
            loss += 3.0 * pinball(z, quantiles, np.array(LEVELS)).mean() + 0.5 * fz0_of_tails(
                z, quantiles, shortfall, LEVELS
            )
            losses.append(float(loss))
    assert 100 < len(losses) < 200
    found = loss_of_batch(net, batch, settings, with_fz0=True)
    assert float(found.detach()) == pytest.approx(np.mean(losses), rel=1e-4)


def test_the_variance_learns_from_qlike_alone_and_the_shape_from_the_rest(table: Table) -> None:
    batch = table.batch(torch.arange(200, 264), [])

    def gradient(settings: LossSettings) -> torch.Tensor:
        net = network(table)
        loss_of_batch(net, batch, settings, with_fz0=True).backward()  # type: ignore[no-untyped-call]
        assert net.out.bias.grad is not None
        return net.out.bias.grad.view(4, -1)

    plain = gradient(LossSettings(pinball_weight=0, fz0_weight=0))
    both = gradient(LossSettings(pinball_weight=4, fz0_weight=0.2))
    torch.testing.assert_close(plain[:, 0], both[:, 0])
    assert (plain[:, 1:] == 0).all()
    assert (both[:, 1:] != 0).any(dim=1).all()


def test_fz0_waits_for_its_epoch(table: Table) -> None:
    net, batch = network(table), table.batch(torch.arange(200, 264), [])
    settings = LossSettings(pinball_weight=1, fz0_weight=0.2)
    before, after = (loss_of_batch(net, batch, settings, with_fz0=on).item() for on in (False, True))
    without = loss_of_batch(net, batch, settings.model_copy(update={"fz0_weight": 0.0}), with_fz0=True).item()
    assert before == without != after


def test_qlike_is_least_at_the_mean_ratio(table: Table) -> None:
    """Of a correction that is the same for all, the gradient vanishes where the variance is the mean outcome's."""
    batch = table.batch(torch.arange(200, 1_200), [])
    net = network(table)
    torch.nn.init.zeros_(net.out.weight)
    level = torch.atanh(torch.log(batch.ratio.double().mean(dim=0)) / net.config.variance_bound)
    with torch.no_grad():
        net.out.bias.view(4, -1)[:, 0] = level
    loss_of_batch(net, batch, LossSettings(pinball_weight=0, fz0_weight=0), with_fz0=False).backward()  # type: ignore[no-untyped-call]
    assert net.out.bias.grad is not None
    np.testing.assert_allclose(net.out.bias.grad.view(4, -1)[:, 0], 0, atol=2e-6)


def test_validation_counts_every_outcome_once(table: Table) -> None:
    net, rows = network(table).eval(), torch.arange(1_450, 1_500)
    batch = table.batch(rows, [])
    with torch.no_grad():
        total, known = qlike_of_batch(net, batch)
        parts = [torch.stack(qlike_of_batch(net, table.batch(some, []))) for some in torch.split(rows, 7)]
    torch.testing.assert_close(sum(parts), torch.stack([total, known]))
    assert known.tolist() == [49, 46, 42, 26]  # of windows of 1, 4, 8 and 24 hours


def test_a_purge_lies_between_training_and_validation(small: Panel, table: Table) -> None:
    before, later = split(table, 24 * 3600, validation_days=10)
    assert before.tolist() == list(range(len(small) - 240 - 24))
    assert later.tolist() == list(range(len(small) - 240, len(small) - 1))  # the last has no outcome
    everything, nothing = split(table, 24 * 3600, validation_days=0)
    assert everything.tolist() == list(range(len(small) - 1))
    assert not len(nothing)


def test_an_epoch_sees_each_row_once_and_ranks_share_a_batch(small: Panel, table: Table) -> None:
    rows = torch.arange(0, 1_000, 2)

    def epoch(share: tuple[int, int]) -> list[list[int]]:
        order = torch.Generator().manual_seed(stream(0, 1))
        batches = Batches(lambda some: table.batch(some, []), rows, 60, lambda: order, share)
        return [batch.rows.tolist() for batch in batches]

    whole, halves = epoch((0, 1)), [epoch((rank, 2)) for rank in (0, 1)]
    assert len(whole) == 500 // 60
    seen = [row for batch in whole for row in batch]
    assert len(set(seen)) == len(seen) == 480
    assert set(seen) < set(rows.tolist())
    assert seen != sorted(seen)
    assert [sorted(a + b) for a, b in zip(*halves, strict=True)] == [sorted(batch) for batch in whole]


def test_validation_keeps_the_order_of_time(table: Table) -> None:
    data = WindowData(table, split(table, 86_400, 10), [], 64, seed=0)
    rows = [row for batch in data.val_dataloader() for row in batch.rows.tolist()]
    assert rows == data.rows[1].tolist()


def test_no_row_reads_an_outcome_that_was_not_known(small: Panel, reader: Reader) -> None:
    """Outcomes beyond the end of training are NaN and stay out, whatever the rows after it say."""
    cut = small.until(int(small.origin_ns[1_000]))
    targets = replace(cut.targets, log_return=np.where(np.isfinite(cut.targets.log_return), 1.0, np.nan))
    table = Table.of(reader, [replace(cut, targets=targets)], LossSettings())
    assert (table.weight > 0).sum(dim=0).tolist() == [1_000, 997, 993, 977]


def test_the_mean_of_the_weights_is_torchs() -> None:
    torch.manual_seed(0)
    net = torch.nn.Linear(3, 2)
    ours, theirs = MeanWeights(0.9), AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.9))  # type: ignore[no-untyped-call]
    for _ in range(5):
        with torch.no_grad():
            net.weight.add_(torch.randn(2, 3))
        ours.update(net)
        theirs.update_parameters(net)
    last = net.weight.detach().clone()
    expected = theirs.module.state_dict()["weight"]
    torch.testing.assert_close(ours.state(net)["weight"], expected)
    ours.swap(net)
    torch.testing.assert_close(net.state_dict()["weight"], expected)
    ours.swap(net)
    torch.testing.assert_close(net.weight, last)


def test_the_rate_falls_as_torchs_cosine_and_rises_before() -> None:
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 40)
    for step in range(40):
        assert rate(step, 40, 0.0) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        assert rate(step + 10, 50, 0.2) == pytest.approx(schedule.get_last_lr()[0], abs=1e-12)
        optimiser.step()
        schedule.step()
    assert [rate(step, 50, 0.2) for step in range(10)] == pytest.approx(np.arange(1, 11) / 10)
