"""Credentials that are no one's, and the search for them in whatever was left behind."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote, quote_plus

__all__ = ["CANARIES", "forms", "layers", "marker", "search", "traces"]

CANARIES = {
    "openai key": "sk-proj-canary7Qm3xT9vB2openai5KdW8",
    "azure key": "c0ffee7a1b2c3d4e5f60718293a4b5c6",
    "azure token": "azure-token-canary/Yt6+Rr2Lq9Zx4Vb1",
    "entra secret": "q8X8Q~canaryEntraSecretZk3mW9vT2bN5rL7hJ",
    "entra token": "eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiI5eFQ0In0.c2lnbmVkQ2FuYXJ5",
    "header": "header-canary-4Fh8Kd2Sw6Pz0Xn",
    "one call's header": "call-canary-1Vg5Bt9Jm3Ru7Ey",
    "query": "query-canary-8Zc2Qk6Wd0Hf4Ns",
    "password": "pass/word:canary 3Lp7@Yb1Xe5",
    "custom header": "environment-canary-6Rj0Mq4Tz8Cv",
}
"""What it is, and what it looks like; letters that URLs, JSON and base64 write otherwise too."""

Form = tuple[str, bytes]


def marker(place: str) -> str:
    """What is planted in a place, to see that the search looks there."""
    return f"planted-in-{place.replace(' ', '-')}-7d2f"


def forms(credential: str) -> list[Form]:
    """How a credential may stand somewhere, each with its name; written without our masking."""
    half = len(credential) // 2
    parts = {"": credential, "first half": credential[:half], "second half": credential[half:]}
    found = []
    for name, part in parts.items():
        found += [(f"{name} as it is", part), (f"{name} backwards", part[::-1])]
        found += [(f"{name} in a URL", url(part)) for url in (quote, quote_plus, _quote_all)]
        found += [(f"{name} in JSON", json.dumps(part)[1:-1])]
        found += [(f"{name} in hexadecimal", part.encode().hex())]
    found += [("in base64", letters) for letters in _base64(credential.encode())]
    found += [("halves exchanged", credential[half:] + credential[:half])]
    # Of the same letters the first name counts.
    named = {form: name.strip() for name, form in reversed(found)}
    return [(name, form.encode()) for form, name in named.items()]


def _quote_all(text: str) -> str:
    return quote(text, safe="")


def _base64(data: bytes) -> Iterator[str]:
    for before in range(3):
        for behind in range(3):
            whole = b"?" * before + data + b"?" * behind
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                letters = encode(whole).decode().rstrip("=")
                yield letters[4 if before else 0 : len(letters) - 4]


def traces(data: bytes) -> set[str]:
    """The canaries that are in ``data``, with the form in which they are."""
    low = data.lower()
    return {f"{name} {form}" for name, form, sign in _SIGNS if sign in data or sign.lower() in low}


_SIGNS = [
    (name, form, sign)
    for name, credential in CANARIES.items()
    for form, sign in forms(credential)
    if len(sign) >= 10
]


def search(root: Path) -> dict[str, set[str]]:
    """The traces in each folder of ``root``, in all its files and all their layers."""
    found: dict[str, set[str]] = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            place = found.setdefault(path.relative_to(root).parts[0], set())
            for layer in layers(path):
                place |= {f"{trace} ({path.relative_to(root)})" for trace in traces(layer)}
    return found


def layers(path: Path) -> Iterator[bytes]:
    """A file's bytes, and what is in them: packed, escaped, or in the rows of a database."""
    data = path.read_bytes()
    yield data
    if data.startswith(b"SQLite format 3"):
        yield _rows(path)
    yield from _unpacked(data)
    for line in (data, *data.splitlines()):
        if line[:1] in (b"{", b"["):
            with suppress(ValueError, RecursionError):
                yield "\n".join(_strings(json.loads(line))).encode("utf-8", "replace")


def _unpacked(data: bytes) -> Iterator[bytes]:
    with suppress(OSError, EOFError, zlib.error):
        yield gzip.decompress(data)
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(BytesIO(data)) as archive:
        yield from map(archive.read, archive.namelist())


def _rows(path: Path) -> bytes:
    """All values of a database, those of its log that is not merged yet too."""
    with TemporaryDirectory() as name:
        for each in path.parent.glob(f"{path.name}*"):
            shutil.copy(each, name)
        with closing(sqlite3.connect(Path(name, path.name))) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            rows = [
                database.execute(f'SELECT * FROM "{table}"').fetchall()
                for (table,) in tables.fetchall()
            ]
    return repr(rows).encode()


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield key
            yield from _strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part)
