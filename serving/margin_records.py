"""Margin records of the command line: keys, the code's fingerprint, and computing a recorded requirement again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from features.errors import RecordError, SettingError
from serving.audit_code import code_now
from serving.audit_files import verify_file
from serving.audit_keys import make_key, public_path, read_public_key
from serving.margin.audit import Checkpoint, MarginRecord
from serving.margin.objects import Account, ForecastSet, MarketSnapshot
from serving.margin.objects.documents import read
from serving.margin.policy import MarginPolicy, policy_of
from serving.margin.quote import POLICY
from serving.margin.rules import RULES
from serving.margin_job import MarginJob

HASH_LENGTH: Final = 64


def make_keys(out: Path) -> list[str]:
    """Make OUT.pem and OUT.pem.pub and say where they are."""
    path = out.with_name(f"{out.name}.pem")
    make_key(path)
    return [f"private key  {path}  (keep it; mode 600)", f"public key   {public_path(path)}"]


def verified(path: Path, public_keys: Sequence[Path], seen: str | None = None) -> tuple[list[str], bool]:
    """Lines that say what was checked of a record or a log, and whether all of it held.

    ``seen``: length and hash of the log as they were printed before; without it a log that was cut at
    its end cannot be told from one that has ended there.
    """
    keys = [read_public_key(key) for key in public_keys]
    found = verify_file(path, replayed, keys, None if seen is None else _checkpoint(seen), code_now())
    if not found.records and found.broken is None:
        raise RecordError(f"{path}: no record in it; nothing is verified")
    lines = list(found.lines())
    if found.passed and found.records[0].sequence == 0:
        last = found.records[-1]
        lines.append(f"checkpoint {last.sequence + 1}:{last.sha256}")
    return lines, found.passed


def _checkpoint(text: str) -> Checkpoint:
    length, _, sha256 = text.partition(":")
    if not (length.isascii() and length.isdigit() and len(sha256) == HASH_LENGTH):
        raise SettingError(f"--checkpoint {text!r}: write LENGTH:SHA256, as verify prints it")
    return Checkpoint(int(length), sha256)


def replayed(record: MarginRecord) -> object:
    """Compute a recorded requirement again from the documents in the record."""
    policy, parameters = _policy(record)
    forecasts = read(record.text("forecast"), tuple[ForecastSet, ...], "record") if record.has("forecast") else ()
    job = MarginJob(
        read(record.text("account"), Account, "record"),
        read(record.text("market"), MarketSnapshot, "record"),
        forecasts,
        policy,
        None if record.head.rule == POLICY else record.head.rule,
        parameters,
    )
    return job.result()


def _policy(record: MarginRecord) -> tuple[MarginPolicy, Any]:
    """The policy of a record and, where a venue's rule was used, the rule's parameters."""
    document = msgspec.json.decode(record.text("policy"))
    rule = record.head.rule
    if rule == POLICY:
        return policy_of(document), None
    if rule not in RULES:
        raise RecordError(f"the record was made under the rule {rule!r}, which this version does not have")
    return policy_of(document["policy"]), msgspec.convert(document["parameters"], RULES[rule].parameters, strict=False)
