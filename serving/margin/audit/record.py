r"""A margin record: what a requirement was computed from, by what, and what came out.

A record has a *head*, which is hashed, chained and signed, and the *documents* whose hashes the head holds:

.. math::

    h_d &= \mathrm{SHA256}(\mathrm{canonical}(d)) \quad d = \text{account, market, forecast, policy, result} \\
    H_i &= \mathrm{SHA256}(\mathrm{canonical}(i, H_{i-1}, \text{as-of}, \text{rule}, \text{code}, h_d))

so that a document may be kept elsewhere, or deleted, without breaking the chain. Head and documents are kept as their
canonical *texts*, not as nested JSON: what was hashed is there byte for byte, whatever reads it. Nothing in a record
depends on the machine, the clock or a path.
"""

from typing import Annotated, Any, Self

import msgspec

from features.errors import RecordError
from serving.margin.audit.canonical import canonical, canonical_sha256, sha256_of_text

FORMAT = "margincast.margin.record/1"
NO_RECORD = "0" * 64  # what the first record of a chain names as the one before it
PARTS = ("account", "market", "forecast", "policy", "result")

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Code(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What computed it: version of the package, SHA-256 of the sources, versions of the numeric libraries."""

    version: str
    sha256: Sha256
    libraries: dict[str, str] = {}


class Hashes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """SHA-256 of each document's canonical text; null where a rule takes no such document."""

    account: Sha256
    market: Sha256
    result: Sha256
    forecast: Sha256 | None = None
    policy: Sha256 | None = None


class Documents(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Canonical texts; null where there is none or it is kept elsewhere."""

    account: str | None = None
    market: str | None = None
    forecast: str | None = None
    policy: str | None = None
    result: str | None = None


class Head(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is hashed, chained and signed.

    ``sequence`` counts from 0. ``as_of_ns``: nanoseconds UTC of the market. ``previous_sha256``: the hash of the
    record before, 64 zeros in the first.
    """

    format: str
    sequence: Count
    previous_sha256: Sha256
    as_of_ns: int
    rule: str
    code: Code
    documents_sha256: Hashes


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A requirement to be recorded; its place in the chain is given to it when it is appended.

    The documents are structures or plain values. Where a rule takes no forecast or no policy, it is None.
    """

    rule: str
    as_of_ns: int
    account: Any
    market: Any
    result: Any
    code: Code
    forecast: Any = None
    policy: Any = None


class MarginRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Head, its hash, the documents, and the signature with the identity of its key.

    ``key_id``: SHA-256 of the public key (DER); ``signature``: ed25519, 128 hexadecimal digits.
    """

    head: Head
    sha256: Sha256
    documents: Documents
    key_id: Sha256 | None = None
    signature: str | None = None

    @classmethod
    def of(cls, draft: Draft, sequence: int = 0, previous_sha256: str = NO_RECORD) -> Self:
        """Make a record of a draft.

        Raises
        ------
        RecordError
            If a document has no canonical text.

        Examples
        --------
        >>> code = Code(version="0.1.0", sha256="0" * 64)
        >>> draft = Draft(rule="fixed", as_of_ns=0, account={}, market={}, result={"initial": 5}, code=code)
        >>> record = MarginRecord.of(draft)
        >>> record.text("result"), record.head.documents_sha256.policy
        ('{"initial":5}', None)
        """
        values = {part: getattr(draft, part) for part in PARTS}
        texts = {part: canonical(value) for part, value in values.items() if value is not None}
        head = Head(
            format=FORMAT,
            sequence=sequence,
            previous_sha256=previous_sha256,
            as_of_ns=draft.as_of_ns,
            rule=draft.rule,
            code=draft.code,
            documents_sha256=Hashes(**{part: sha256_of_text(text) for part, text in texts.items()}),
        )
        return cls(head=head, sha256=canonical_sha256(head), documents=Documents(**texts))

    def text(self, part: str) -> str:
        """Canonical text of a document, ready to be decoded into the engine's objects.

        Raises
        ------
        RecordError
            If the record was made without it, or it is kept elsewhere.
        """
        found: str | None = getattr(self.documents, part)
        if found is None:
            expected = getattr(self.head.documents_sha256, part)
            what = f"it is kept elsewhere, give the one with SHA-256 {expected}" if expected else "the rule took none"
            raise RecordError(f"{told(self)} holds no {part}: {what}")
        return found

    def has(self, part: str) -> bool:
        """Whether the requirement was computed from such a document, be it embedded or not."""
        return getattr(self.head.documents_sha256, part) is not None


def told(record: MarginRecord) -> str:
    """How messages call a record."""
    return f"record {record.head.sequence}"
