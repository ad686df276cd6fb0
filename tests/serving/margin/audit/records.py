"""Records of a small rule, and the rule itself, for the tests of the audit."""

from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from serving.margin.audit import Code, Draft, MarginRecord, after, parse, sign
from serving.margin.audit.chain import GENESIS

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
CODE = Code(version="0.1.0", sha256="c0de" * 16, libraries={"numpy": "2.2.0"})
AS_OF_NS = 1_700_000_000_123_456_789


def requirement(account: Any, market: Any) -> dict[str, object]:
    """Ten percent of notional: a rule that tests can compute by hand."""
    parts = [
        {"name": name, "initial": abs(Decimal(quantity)) * Decimal(market[name]) / 10}
        for name, quantity in account["positions"].items()
    ]
    return {"components": parts, "initial": sum((Decimal(str(p["initial"])) for p in parts), Decimal(0))}


def draft(quantity: str = "-2.50") -> Draft:
    account = {"account_id": "a–1", "positions": {"BTC-PERP": quantity, "ETH-PERP": "3"}}
    market = {"BTC-PERP": "30000.01", "ETH-PERP": "2000", "vol": 0.1 + 0.2}
    return Draft(
        rule="tenth",
        as_of_ns=AS_OF_NS,
        account=account,
        market=market,
        policy={"rate": "0.1"},
        result=requirement(account, market),
        code=CODE,
    )


def replay(record: MarginRecord) -> dict[str, object]:
    return requirement(parse(record.text("account")), parse(record.text("market")))


def chained(count: int, key: Ed25519PrivateKey | None = KEY) -> list[MarginRecord]:
    records: list[MarginRecord] = []
    for i in range(count):
        end = after(records[-1]) if records else GENESIS
        record = MarginRecord.of(draft(f"{i + 1}.5"), end.length, end.sha256)
        records.append(record if key is None else sign(record, key))
    return records
