"""Work on panels in several processes, each with its panels mapped once, each on one thread."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from threading import Thread
from typing import TypeVar

from threadpoolctl import threadpool_limits

from features.errors import ForecastError
from features.panel import Panel
from features.pipeline import load_panel

Item = TypeVar("Item")
Result = TypeVar("Result")
Work = Callable[[Item, Mapping[str, Panel]], Result]

AHEAD = 3  # items a process that are under way or finished before their turn
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def in_parallel(
    work: Work[Item, Result], items: Sequence[Item], panels: Mapping[str, Path], workers: int
) -> Iterator[Result]:
    """Yield ``work(item, panels)`` of each item, in their order.

    Parameters
    ----------
    work : a function of a module, which every process imports.
    items : what to work on.
    panels : folder of each instrument's panel.
    workers : processes; with 1 the work is done in this one.

    Raises
    ------
    ForecastError
        If a process was killed.
    """
    if workers == 1 or len(items) < 2:
        with threadpool_limits(1):
            loaded = {symbol: load_panel(folder) for symbol, folder in panels.items()}
            for item in items:
                yield work(item, loaded)
        return
    with _one_thread_each(), _pool(panels, min(workers, len(items))) as pool:
        waiting = iter(items)
        # Few at a time: results that wait for an earlier one are held in memory.
        pending: deque[Future[Result]] = deque(pool.submit(_work, work, i) for i in islice(waiting, AHEAD * workers))
        try:
            while pending:
                yield pending.popleft().result()
                pending.extend(pool.submit(_work, work, item) for item in islice(waiting, 1))
        except (BrokenProcessPool, MemoryError) as error:
            raise ForecastError(
                "a worker process was killed, by a lack of memory perhaps; what was finished is kept: "
                "run again, with fewer --jobs"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _pool(panels: Mapping[str, Path], workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a forked child inherits the locks of threads that it has not.
    return ProcessPoolExecutor(workers, get_context("spawn"), initializer=_open, initargs=(dict(panels),))


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that start inside use one thread: more would contend for the same cores."""
    former = {name: os.environ.get(name) for name in THREADS}
    os.environ.update(dict.fromkeys(THREADS, "1"))
    try:
        yield
    finally:
        for name, value in former.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_opened: dict[str, Panel] = {}  # of a worker process


def _open(panels: dict[str, Path]) -> None:
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    threadpool_limits(1)
    _opened.update({symbol: load_panel(folder) for symbol, folder in panels.items()})


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: killed, it could not say so."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _work(work: Work[Item, Result], item: Item) -> Result:
    return work(item, _opened)
