"""Many accounts in one market: the figures of each, in a fixed order, one failure apart from the others."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from features.errors import DataError
from serving.margin.objects import Account
from serving.margin.prepared import Prepared
from serving.margin.quote import alone
from serving.margin.running import running


@dataclass(frozen=True, slots=True)
class BatchLine:
    """Requirement of one account, isolated positions included, USD, unrounded; or why there is none.

    An account that cannot be margined has no figures and a ``fault``: it must not be taken as one that needs nothing.
    """

    account_id: str
    initial: float | None
    maintenance: float | None
    fault: str | None


def batch(accounts: Iterable[Account], prepared: Prepared) -> Iterator[BatchLine]:
    """Margin accounts one after another against the same prepared market; memory does not grow with their number."""
    for account in accounts:
        try:
            every = [running(part, prepared).figures() for part in _parts(account)]
        except DataError as fault:
            yield BatchLine(account.account_id, None, None, str(fault))
        else:
            initial, maintenance = sum(f.initial for f in every), sum(f.maintenance for f in every)
            yield BatchLine(account.account_id, initial, maintenance, None)


def _parts(account: Account) -> list[Account]:
    """The cross account, and each isolated position by itself."""
    return [account, *(alone(account, p) for p in account.positions if p.mode == "isolated")]
