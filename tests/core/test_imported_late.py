"""Modules that aren't loaded before they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

BEGINS = "import sys; from southbridge.imported_late import load_tls_late; load_tls_late(); import asyncio, ssl; "


@pytest.mark.parametrize(
    ("then", "says"),
    [
        ("print('_ssl' in sys.modules)", "False"),
        ("import ssl; print('_ssl' in sys.modules)", "False"),
        ("asyncio.run(asyncio.sleep(0)); print('_ssl' in sys.modules)", "False"),
        ("ssl.create_default_context(); print('_ssl' in sys.modules)", "True"),
        ("from ssl import SSLContext; print(SSLContext.__module__, ssl.OPENSSL_VERSION[:7])", "ssl OpenSSL"),
        ("from asyncio.sslproto import SSLProtocol; print(SSLProtocol.__name__)", "SSLProtocol"),
        ("print(hasattr(ssl, 'no such thing'), '_ssl' in sys.modules)", "False True"),
        ("from asyncio import sslproto; print(sslproto.ssl.SSLError is ssl.SSLError)", "True"),
        ("print(asyncio.base_events.ssl is ssl)", "True"),
    ],
)
def test_tls(then: str, says: str) -> None:
    done = subprocess.run([sys.executable, "-c", BEGINS + then], capture_output=True, text=True)
    assert done.stdout.strip() == says, done.stderr


def test_tls_that_is_there_already_stays() -> None:
    code = "import ssl; " + BEGINS + "print(type(ssl).__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "module", done.stderr
