"""The passwords' cipher, against a library's."""

from __future__ import annotations

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st
from southbridge.rfb import des


@given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8).map(lambda block: block * 2))
def test_as_a_library_has_it(key: bytes, data: bytes) -> None:
    encryptor = Cipher(TripleDES(key * 3), modes.ECB()).encryptor()  # three times the same is once
    assert des.encrypt(key, data) == encryptor.update(data) + encryptor.finalize()


def test_a_known_answer() -> None:
    """FIPS 81, table B1: "Now is the time for all "."""
    key = bytes.fromhex("0123456789abcdef")
    assert des.encrypt(key, b"Now is the time for all ").hex() == "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53"


def test_eight_characters_count() -> None:
    challenge = bytes(range(16))
    assert des.answer(b"password", challenge) == des.answer(b"password and more", challenge)
    assert des.answer(b"short", challenge) != des.answer(b"shore", challenge)
