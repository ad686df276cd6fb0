r"""Ed25519 signatures of records: who answers for a requirement.

Signed is a short text that says what it is for, so that the signature can be taken for nothing else:

.. math:: s = \mathrm{Ed25519}_k(\texttt{"margincast.margin.record/1 "} \,\|\, H \,\|\, \texttt{"\\n"})

with H the record's hash in 64 hexadecimal digits. The key is named by the SHA-256 of its public half in DER
(SubjectPublicKeyInfo), which ``openssl pkey -pubin -outform DER | sha256sum`` prints too.

References
----------
Josefsson, Liusvaara (2017), "Edwards-Curve Digital Signature Algorithm (EdDSA)", RFC 8032.
Josefsson, Schaad (2018), "Algorithm Identifiers for Ed25519", RFC 8410.
"""

import hashlib
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from features.errors import RecordError
from serving.margin.audit.content import check_hashes
from serving.margin.audit.record import FORMAT, MarginRecord, told


def key_id(public_key: Ed25519PublicKey) -> str:
    """SHA-256 of a public key in DER: the name that records carry.

    Examples
    --------
    >>> raw = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1"  # RFC 8410, section 10.1
    >>> key_id(Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw)))[:16]
    'a1e9156054e04fac'
    """
    return hashlib.sha256(public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def message(sha256: str) -> bytes:
    r"""Bytes that are signed for a record's hash.

    Examples
    --------
    >>> message("ab" * 32)[:30]
    b'margincast.margin.record/1 aba'
    """
    return f"{FORMAT} {sha256}\n".encode()


def sign_bytes(private_key: Ed25519PrivateKey, content: bytes) -> str:
    """Signature of some bytes, 128 hexadecimal digits; the same key and bytes give the same signature."""
    return private_key.sign(content).hex()


def sign(record: MarginRecord, private_key: Ed25519PrivateKey) -> MarginRecord:
    """Sign a record's hash.

    Raises
    ------
    RecordError
        If the hash is not that of the content: what is altered is not signed.
    """
    check_hashes(record)
    signature = sign_bytes(private_key, message(record.sha256))
    return msgspec.structs.replace(record, key_id=key_id(private_key.public_key()), signature=signature)


def check_signature(record: MarginRecord, public_keys: Sequence[Ed25519PublicKey]) -> None:
    """Verify that one of the keys signed this very content.

    Raises
    ------
    RecordError
        If there is no signature, another key made it, the content was altered, or the signature is of something else.
    """
    if record.signature is None or record.key_id is None:
        raise RecordError(f"{told(record)} is not signed; whoever made it answers for nothing")
    check_hashes(record)
    keys = {key_id(key): key for key in public_keys}
    if record.key_id not in keys:
        given = ", ".join(keys) or "none"
        raise RecordError(f"{told(record)} was signed with key {record.key_id}; given: {given}. Give its public key")
    try:
        keys[record.key_id].verify(_bytes(record), message(record.sha256))
    except InvalidSignature:
        raise RecordError(
            f"{told(record)}: the signature is not that of key {record.key_id} for hash {record.sha256}; "
            "one of them was altered"
        ) from None


def _bytes(record: MarginRecord) -> bytes:
    text = record.signature or ""
    if len(text) != 128 or set(text) - set("0123456789abcdef"):
        raise RecordError(f"{told(record)}: the signature is not 128 hexadecimal digits in small letters")
    return bytes.fromhex(text)
