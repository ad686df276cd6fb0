"""Keys on disk: for their owner alone, and refused where they are not what they should be."""

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from features.errors import MissingFileError, RecordError
from serving.audit_keys import PASSPHRASE, make_key, public_path, read_private_key, read_public_key
from serving.margin.audit import check_signature, key_id, sign
from tests.serving.margin.audit.records import chained


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PASSPHRASE, raising=False)


def test_a_key_is_read_back_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "margin.pem"
    umask = os.umask(0)
    try:
        made = make_key(path)
    finally:
        os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"BEGIN PRIVATE KEY" in path.read_bytes()
    assert read_private_key(path).private_bytes_raw() == made.private_bytes_raw()
    public = read_public_key(public_path(path))
    check_signature(sign(chained(1, None)[0], read_private_key(path)), [public])
    assert key_id(public) == key_id(made.public_key())


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o601])
def test_a_key_that_others_can_get_at_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "margin.pem"
    make_key(path)
    path.chmod(mode)
    with pytest.raises(RecordError, match=f"mode {mode:04o} lets others at the private key; chmod 600"):
        read_private_key(path)


def test_a_passphrase_encrypts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "margin.pem"
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    made = make_key(path)
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    assert read_private_key(path).private_bytes_raw() == made.private_bytes_raw()
    monkeypatch.setenv(PASSPHRASE, "wrong")
    with pytest.raises(RecordError, match="or the wrong passphrase in MARGINCAST_KEY_PASSPHRASE"):
        read_private_key(path)
    monkeypatch.delenv(PASSPHRASE)
    with pytest.raises(RecordError, match="is encrypted; set MARGINCAST_KEY_PASSPHRASE"):
        read_private_key(path)
    plain = tmp_path / "plain.pem"
    make_key(plain)
    monkeypatch.setenv(PASSPHRASE, "correct horse")
    with pytest.raises(RecordError, match="is not encrypted; unset MARGINCAST_KEY_PASSPHRASE"):
        read_private_key(plain)


def test_a_key_is_never_written_over(tmp_path: Path) -> None:
    path = tmp_path / "margin.pem"
    make_key(path)
    before = path.read_bytes()
    with pytest.raises(RecordError, match="a key is never written over"):
        make_key(path)
    path.unlink()
    with pytest.raises(RecordError, match=r"margin\.pem\.pub exists"):
        make_key(path)
    path.write_bytes(before)


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.pem"
    other = ec.generate_private_key(ec.SECP256R1())
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(RecordError, match="a key of another kind"):
        read_private_key(path)
    path.write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(RecordError, match="a key of another kind"):
        read_public_key(path)
    path.write_bytes(b"hello")
    with pytest.raises(RecordError, match="no private key"):
        read_private_key(path)
    with pytest.raises(RecordError, match="no public key"):
        read_public_key(path)
    with pytest.raises(MissingFileError, match="no such key file"):
        read_public_key(tmp_path / "none")


def test_a_private_key_is_not_taken_for_a_public_one(tmp_path: Path) -> None:
    path = tmp_path / "margin.pem"
    make_key(path)
    with pytest.raises(RecordError, match=r"no public key; give the file that ends in \.pub"):
        read_public_key(path)


def test_a_key_that_the_disk_does_not_take_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        make_key(tmp_path / "margin.pem")
    assert list(tmp_path.iterdir()) == []
