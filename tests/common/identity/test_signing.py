from __future__ import annotations

import base64
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from common.identity.signing import CHECKPOINT_PURPOSE, ORDER_PURPOSE, BadKey, SigningKey, key_id, verify

KEY = SigningKey.generate()


def test_a_signature_verifies_for_its_purpose_only() -> None:
    """What is signed as an order is no checkpoint, and the other way round."""
    signature = KEY.sign(ORDER_PURPOSE, b"df -h")
    assert verify(KEY.public, b"df -h", signature)
    assert verify(KEY.public, b"df -h", signature, ORDER_PURPOSE)
    assert not verify(KEY.public, b"df -h", signature, CHECKPOINT_PURPOSE)


def test_a_purpose_cannot_be_moved_into_the_data() -> None:
    """The bytes of purpose and data together say nothing: the border between them counts."""
    signature = KEY.sign(ORDER_PURPOSE, CHECKPOINT_PURPOSE + b"x")
    assert not verify(KEY.public, b"x", signature, ORDER_PURPOSE + CHECKPOINT_PURPOSE)
    with pytest.raises(ValueError, match="one line"):
        KEY.sign(ORDER_PURPOSE + CHECKPOINT_PURPOSE, b"x")


@pytest.mark.parametrize("purpose", [b"", b"no newline", b"\n\n", b"a\nb"])
def test_a_purpose_is_one_line(purpose: bytes) -> None:
    """A purpose that could be the beginning of another is refused, and verifies nothing."""
    with pytest.raises(ValueError, match="one line"):
        KEY.sign(purpose, b"x")
    assert not verify(KEY.public, b"x", bytes(64), purpose)


def test_a_flipped_bit_anywhere_fails() -> None:
    """Every bit of the data and of the signature counts."""
    data, signature = b"order", KEY.sign(ORDER_PURPOSE, b"order")
    for index in range(len(signature) * 8):
        flipped = bytearray(signature)
        flipped[index // 8] ^= 1 << index % 8
        assert not verify(KEY.public, data, bytes(flipped))
    for index in range(len(data) * 8):
        changed = bytearray(data)
        changed[index // 8] ^= 1 << index % 8
        assert not verify(KEY.public, bytes(changed), signature)


def test_another_key_does_not_verify() -> None:
    """A signature is one key's."""
    assert not verify(SigningKey.generate().public, b"x", KEY.sign(ORDER_PURPOSE, b"x"))


@given(st.binary(max_size=80), st.binary(max_size=80), st.binary(max_size=80))
def test_verify_never_raises(public: bytes, data: bytes, signature: bytes) -> None:
    """Rubbish for a key or a signature is False, not an exception."""
    assert verify(public, data, signature) is False


def test_verify_takes_wrong_types_as_false() -> None:
    """A key from a damaged trust file may be anything."""
    assert verify(None, b"x", bytes(64)) is False  # type: ignore[arg-type]
    assert verify(KEY.public, b"x", "text") is False  # type: ignore[arg-type]


def test_rfc_8032_vector() -> None:
    """The key of RFC 8032 section 7.1, test 2 has its public half."""
    seed = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
    pem = b"-----BEGIN PRIVATE KEY-----\n%s\n-----END PRIVATE KEY-----\n"
    key = SigningKey.from_pem(pem % base64.b64encode(bytes.fromhex("302e020100300506032b657004220420") + seed))
    assert key.public.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert verify(key.public, b"x", key.sign(ORDER_PURPOSE, b"x"))


def test_the_pem_gives_the_same_key_back() -> None:
    """A key survives its file, with its id."""
    again = SigningKey.from_pem(KEY.to_pem())
    assert (again.id, again.public) == (KEY.id, KEY.public)
    assert KEY.id == key_id(KEY.public)
    assert len(KEY.id) == 16
    assert len(KEY.public) == 32


def test_other_files_are_refused_without_their_content() -> None:
    """A file that is no Ed25519 key says so and shows nothing of itself."""
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    locked = SigningKey.generate()._key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    for pem in (b"", b"canary-secret", other, locked):
        with pytest.raises(BadKey) as caught:
            SigningKey.from_pem(pem)
        assert "canary" not in str(caught.value)


def test_the_runner_loads_little() -> None:
    """Loading this module loads neither the certificate nor the key file parts of the library."""
    code = (
        "import sys, common.identity.signing\n"
        "heavy = ('cryptography.x509', 'cryptography.hazmat.primitives.serialization')\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
