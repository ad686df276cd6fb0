"""Margins that can be verified: canonical records, chained by their hashes, signed, and computed again."""

from serving.margin.audit.canonical import canonical, canonical_sha256
from serving.margin.audit.chain import GENESIS, ChainBreak, Checkpoint, after, check_chain, require_chain
from serving.margin.audit.content import check_hashes, with_documents, without_documents
from serving.margin.audit.difference import Difference, first_difference
from serving.margin.audit.lines import from_line, to_line
from serving.margin.audit.outcome import LogVerification, Step, Verification
from serving.margin.audit.reading import as_recorded, parse
from serving.margin.audit.record import Code, Draft, MarginRecord
from serving.margin.audit.replay import verify, verify_all
from serving.margin.audit.signature import check_signature, key_id, sign

__all__ = [
    "GENESIS",
    "ChainBreak",
    "Checkpoint",
    "Code",
    "Difference",
    "Draft",
    "LogVerification",
    "MarginRecord",
    "Step",
    "Verification",
    "after",
    "as_recorded",
    "canonical",
    "canonical_sha256",
    "check_chain",
    "check_hashes",
    "check_signature",
    "first_difference",
    "from_line",
    "key_id",
    "parse",
    "require_chain",
    "sign",
    "to_line",
    "verify",
    "verify_all",
    "with_documents",
    "without_documents",
]
