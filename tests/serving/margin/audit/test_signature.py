"""Signatures: the vectors of RFC 8032, and everything that must not verify."""

import hashlib

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from features.errors import RecordError
from serving.margin.audit import MarginRecord, check_signature, key_id, sign
from serving.margin.audit.signature import message, sign_bytes
from tests.serving.margin.audit.records import KEY, OTHER_KEY, chained, draft

# RFC 8032, section 7.1: secret key, public key, message, signature of tests 1, 2, 3 and SHA(abc).
RFC_8032 = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555"
        "fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da0"
        "85ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac1"
        "8ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        hashlib.sha512(b"abc").hexdigest(),
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b5890"
        "9351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


@pytest.mark.parametrize(("secret", "public", "content", "signature"), RFC_8032)
def test_vectors_of_rfc_8032(secret: str, public: str, content: str, signature: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))
    assert key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex() == public
    assert sign_bytes(key, bytes.fromhex(content)) == signature


def test_a_signed_record_verifies_and_its_hash_does_not_change() -> None:
    bare = MarginRecord.of(draft())
    record = sign(bare, KEY)
    assert record.sha256 == bare.sha256
    assert sign(bare, KEY) == record
    check_signature(record, [OTHER_KEY.public_key(), KEY.public_key()])
    assert record.key_id == key_id(KEY.public_key()) != key_id(OTHER_KEY.public_key())


def test_what_is_signed_says_what_it_is_for() -> None:
    record = sign(MarginRecord.of(draft()), KEY)
    assert message(record.sha256) == b"margincast.margin.record/1 " + record.sha256.encode() + b"\n"
    KEY.public_key().verify(bytes.fromhex(record.signature or ""), message(record.sha256))


def test_a_missing_signature_is_named() -> None:
    with pytest.raises(RecordError, match="record 0 is not signed"):
        check_signature(MarginRecord.of(draft()), [KEY.public_key()])


def test_another_key_is_named() -> None:
    record = chained(1)[0]
    given = key_id(OTHER_KEY.public_key())
    with pytest.raises(RecordError, match=f"was signed with key {record.key_id}; given: {given}"):
        check_signature(record, [OTHER_KEY.public_key()])


def test_a_key_that_is_claimed_but_did_not_sign() -> None:
    record = msgspec.structs.replace(chained(1, OTHER_KEY)[0], key_id=key_id(KEY.public_key()))
    with pytest.raises(RecordError, match="the signature is not that of key"):
        check_signature(record, [KEY.public_key()])


def test_altered_content_is_named() -> None:
    record = chained(1)[0]
    head = msgspec.structs.replace(record.head, rule="twentieth")
    with pytest.raises(RecordError, match="head altered"):
        check_signature(msgspec.structs.replace(record, head=head), [KEY.public_key()])


def test_the_signature_of_another_record_is_refused() -> None:
    first, second = chained(2)
    with pytest.raises(RecordError, match="the signature is not that of key"):
        check_signature(msgspec.structs.replace(second, signature=first.signature), [KEY.public_key()])


@pytest.mark.parametrize("signature", ["", "00", "zz" * 64, "AB" * 64, "0" * 129])
def test_a_signature_that_is_none(signature: str) -> None:
    record = msgspec.structs.replace(chained(1)[0], signature=signature)
    with pytest.raises(RecordError, match="not 128 hexadecimal digits"):
        check_signature(record, [KEY.public_key()])


def test_a_signature_is_not_malleable() -> None:
    # s and s + L are the same number modulo the order L of the group; RFC 8032, 5.1.7 has only the smaller accepted.
    record = chained(1)[0]
    raw = bytes.fromhex(record.signature or "")
    order = 2**252 + 27742317777372353535851937790883648493
    larger = int.from_bytes(raw[32:], "little") + order
    other = msgspec.structs.replace(record, signature=(raw[:32] + larger.to_bytes(32, "little")).hex())
    with pytest.raises(RecordError, match="the signature is not that of key"):
        check_signature(other, [KEY.public_key()])


def test_an_altered_record_is_not_signed() -> None:
    record = MarginRecord.of(draft())
    with pytest.raises(RecordError, match="head altered"):
        sign(msgspec.structs.replace(record, sha256="0" * 64), KEY)
