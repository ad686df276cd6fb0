"""Ed25519 keys on disk: PEM, the private one for its owner alone, encrypted where a passphrase is given."""

import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from features.errors import MissingFileError, RecordError

PASSPHRASE = "MARGINCAST_KEY_PASSPHRASE"  # noqa: S105 - the name of an environment variable
OTHERS = 0o077


def make_key(path: Path) -> Ed25519PrivateKey:
    """Make a key: the private half in ``path``, mode 0600, the public half in ``path`` with ``.pub`` added.

    It is encrypted with the passphrase in the environment variable ``MARGINCAST_KEY_PASSPHRASE``, if that is set.

    Raises
    ------
    RecordError
        If one of the files exists: a key that was lost verifies nothing any more.
    """
    public = public_path(path)
    for taken in (path, public):
        if taken.exists():
            raise RecordError(f"{taken} exists; a key is never written over, give another name")
    key = Ed25519PrivateKey.generate()
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, _encryption()), 0o600)
    _write_new(public, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
    return key


def public_path(path: Path) -> Path:
    """Where :func:`make_key` puts the public half."""
    return path.with_name(f"{path.name}.pub")


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key (PEM, PKCS #8), with the passphrase of the environment if it is encrypted.

    Raises
    ------
    MissingFileError
        If there is no such file.
    RecordError
        If the group or others may read or write the file, it is no ed25519 key, or the passphrase is missing or wrong.
    """
    content, mode = _read(path)
    if mode & OTHERS:
        raise RecordError(f"{path}: mode {mode:04o} lets others at the private key; chmod 600, and think of a new key")
    secret = os.environ.get(PASSPHRASE)
    try:
        key = load_pem_private_key(content, secret.encode() if secret else None)
    except TypeError:
        remedy = f"unset {PASSPHRASE}, or give the encrypted key" if secret else f"set {PASSPHRASE}"
        raise RecordError(f"{path} is {'not ' if secret else ''}encrypted; {remedy}") from None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RecordError(f"{path}: no private key, or the wrong passphrase in {PASSPHRASE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise RecordError(f"{path}: a key of another kind; records are signed with ed25519, make one")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """Read a public key (PEM, SubjectPublicKeyInfo).

    Raises
    ------
    MissingFileError
        If there is no such file.
    RecordError
        If it is no public ed25519 key; a private one is refused too, it is not to be handed around.
    """
    content, _ = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RecordError(f"{path}: no public key; give the file that ends in .pub") from error
    if not isinstance(key, Ed25519PublicKey):
        raise RecordError(f"{path}: a key of another kind; records are signed with ed25519")
    return key


def _encryption() -> KeySerializationEncryption:
    secret = os.environ.get(PASSPHRASE)
    return BestAvailableEncryption(secret.encode()) if secret else NoEncryption()


def _read(path: Path) -> tuple[bytes, int]:
    """Content and mode of the same file, whatever the name points to a moment later."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such key file; make a key, or correct the path")
    with path.open("rb") as handle:
        return handle.read(), os.fstat(handle.fileno()).st_mode & 0o777


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that is not there yet, and that nobody else could read at any moment; whole or not at all."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
    except BaseException:
        path.unlink()
        raise
