"""The same inputs give the same text to the last bit, in any process, with any hash seed and number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

from msgspec.structs import replace

from serving.margin.objects import Account
from serving.margin.objects.documents import write
from serving.margin.policy import MarginPolicy
from serving.margin.prepared import prepare
from serving.margin.quote import quote
from serving.margin.running import running
from tests.serving.margin import changed_markets as changed
from tests.serving.margin import markets

ROOT = Path(__file__).parents[3]
SCRIPT = "from tests.serving.margin.test_replays import said; print(said(), end='')"


def accounts() -> list[Account]:
    placed = (changed.order("ETH-PERP", "sell", "3", "2500"), changed.order(changed.CALL, "buy", "2", "2500"))
    return [replace(changed.everything(orders=placed), account_id="all"), markets.mixed(11, options=20, perpetuals=6)]


def said() -> str:
    """Statements and running figures of several accounts, to every digit."""
    ready = changed.whole_prepared()
    figures = [running(account, ready).figures().components for account in accounts()]
    hexed = [{name: [x.hex() for x in amounts] for name, amounts in sorted(found.items())} for found in figures]
    return "\n".join([*(write(quote(account, ready)) for account in accounts()), json.dumps(hexed)])


def elsewhere(seed: str, threads: str) -> str:
    set_here = {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
    counts = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), threads)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, **set_here, **counts},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return done.stdout


def test_a_replay_is_the_same_in_other_processes_with_other_threads() -> None:
    here = said()
    assert elsewhere("1", "1") == here
    assert elsewhere("4242", "2") == here


def test_a_replay_is_the_same_in_one_process_whatever_came_between() -> None:
    first = [write(quote(account, changed.whole_prepared())) for account in accounts()]
    again = prepare(markets.market(), MarginPolicy(), [markets.forecasts()])
    quote(changed.holding(("SOL-PERP", 5)), again)
    assert [write(quote(account, again)) for account in reversed(accounts())][::-1] == first


def test_instruments_that_nobody_holds_change_nothing() -> None:
    account = changed.everything()
    small, whole = quote(account, changed.prepared()), quote(account, changed.whole_prepared())
    assert write(small) == write(whole)
