"""Encryption at rest: AES-256-GCM, each value bound to its row and column, several keys for rotation.

A stored text is either UTF-8 or, with a key, `0xFF | key id | nonce | ciphertext and tag`; 0xFF never begins UTF-8, so
the two cannot be mistaken. Which keys a database was written with is kept in its `data_key` table (`keyring.py`).
Left out: encryption of the file as a whole, of numbers, times and ids; use an encrypted disk for those.
"""

import base64
import binascii
import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.errors import HOW_TO_MAKE_A_KEY, Damaged, WrongKey

PLAIN = "plain"
_MARK = b"\xff"
_KEY_BYTES, _ID_BYTES, _NONCE_BYTES = 32, 4, 12
_HEADER = 1 + _ID_BYTES + _NONCE_BYTES


@dataclass(frozen=True, slots=True)
class _Key:
    id: bytes
    cipher: AESGCM


class Keys:
    """The keys of ATTUNE_DATA_KEY: the first one writes, all of them read. None at all: text is stored as it is."""

    def __init__(self, encoded: Iterable[str] = (), *, reads_plain: bool = False) -> None:
        self._keys = [_decode(position, text) for position, text in enumerate(encoded, 1)]
        self._by_id = {key.id: key for key in self._keys}
        self._reads_plain = reads_plain or not self._keys

    @property
    def writing(self) -> str:
        """The id of the key that new text is stored under."""
        return self._keys[0].id.hex() if self._keys else PLAIN

    @property
    def reading(self) -> frozenset[str]:
        """The ids of the keys whose text can be read."""
        return frozenset(key.id.hex() for key in self._keys) | ({PLAIN} if self._reads_plain else set())

    @property
    def prefix(self) -> bytes:
        """How every value stored under the writing key begins. Only for real keys."""
        return _MARK + self._keys[0].id

    def seal(self, text: str, place: str) -> bytes:
        """Turn text into what is stored at a place, like `message.text/msg_…`."""
        if not self._keys:
            return text.encode()
        key, nonce = self._keys[0], secrets.token_bytes(_NONCE_BYTES)
        return _MARK + key.id + nonce + key.cipher.encrypt(nonce, text.encode(), place.encode())

    def open(self, stored: object, place: str) -> str:
        """Turn what was stored at a place back into the text, or say why that can't be."""
        if not isinstance(stored, bytes):  # SQLite keeps any type in any column
            raise _damaged(place)
        if not stored.startswith(_MARK):
            if not self._reads_plain:
                raise Damaged(
                    f"{place} holds plain text in an encrypted database. If you put it there: attune db rekey"
                )
            return _text(stored, place)
        key = self._by_id.get(stored[1 : 1 + _ID_BYTES])
        if key is None:
            wanted = stored[1 : 1 + _ID_BYTES].hex()
            raise WrongKey(f"{place} was written with the key {wanted}, which ATTUNE_DATA_KEY does not have. Add it.")
        try:
            opened = key.cipher.decrypt(stored[1 + _ID_BYTES : _HEADER], stored[_HEADER:], place.encode())
        except (InvalidTag, ValueError):  # ValueError: cut off within its nonce
            raise _damaged(place) from None
        return _text(opened, place)


def _text(stored: bytes, place: str) -> str:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        raise _damaged(place) from None


def _damaged(place: str) -> Damaged:
    return Damaged(f"{place} was altered outside Attune. Restore it from a backup.")


def _decode(position: int, text: str) -> _Key:
    try:
        key = base64.b64decode(text.strip().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise WrongKey(f"Key {position} of ATTUNE_DATA_KEY is not 32 bytes in base64. {HOW_TO_MAKE_A_KEY}")
    return _Key(hashlib.sha256(b"attune data key id" + key).digest()[:_ID_BYTES], AESGCM(key))
