"""Where a run computes: the trainer that the configuration asks for, and torch as it was before, afterwards."""

import logging
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, Checkpoint

from features.errors import SettingError
from training.config import TrainingConfig
from training.settings import MachineSettings

HARMLESS = (
    r".*does not have many workers.*",  # windows are gathered in memory: workers would only copy them
    r".*isinstance\(treespec, LeafSpec\).*",  # Lightning's own use of torch
)


def check(settings: MachineSettings) -> None:
    """Refuse a device that is not there.

    Raises
    ------
    SettingError
        If CUDA, or more CUDA devices than there are, is asked for.
    """
    if settings.accelerator == "cuda" and torch.cuda.device_count() < settings.devices:
        raise SettingError(
            f'machine.accelerator = "cuda" with devices = {settings.devices}: this machine has '
            f'{torch.cuda.device_count()} CUDA devices; set machine.accelerator = "cpu", or fewer devices'
        )


@contextmanager
def settled(settings: MachineSettings) -> Iterator[None]:
    """Threads, random numbers, determinism, warnings and Lightning's log as a run wants them, then as they were."""
    check(settings)
    log = logging.getLogger("lightning.pytorch")
    former = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), log.level
    memory: Any = torch.utils.deterministic
    filled, memory.fill_uninitialized_memory = memory.fill_uninitialized_memory, False  # we read none of it
    log.setLevel(logging.ERROR)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    try:
        with torch.random.fork_rng(), warnings.catch_warnings():
            for message in HARMLESS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        torch.set_num_threads(former[0])
        torch.use_deterministic_algorithms(former[1])
        log.setLevel(former[2])
        memory.fill_uninitialized_memory = filled


def trainer_of(config: TrainingConfig, callbacks: list[Callback]) -> lightning.Trainer:
    """Silent: progress, history and checkpoints are ours. On the CPU, the same numbers each time."""
    machine = config.machine
    return lightning.Trainer(
        accelerator=machine.accelerator,
        devices=machine.devices,
        strategy="ddp" if machine.strategy == "ddp" else "auto",
        precision=machine.precision,
        max_epochs=config.epochs,
        deterministic=machine.accelerator == "cpu",  # of some functions CUDA has no deterministic form
        callbacks=callbacks,
        limit_val_batches=1.0 if config.validation_days else 0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=any(isinstance(callback, Checkpoint) for callback in callbacks),
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def is_helper() -> bool:
    """Whether this process was started for a further device of a run of several."""
    return torch.distributed.is_available() and torch.distributed.is_initialized() and torch.distributed.get_rank() > 0


def leave_if_helper() -> None:
    """End a process that was started for a further device: only the first goes on with what was trained."""
    helper = is_helper()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
    if helper:
        raise SystemExit(0)


@contextmanager
def interruptible() -> Iterator[None]:
    """An interrupt stays one: Lightning turns it into an exit and from then on ignores the signal."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
