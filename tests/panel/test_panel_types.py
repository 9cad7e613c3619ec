"""The front end's types, which stand in its comments, hold: TypeScript checks them.

Nothing else of nbagents needs Node. Where there is none, or it cannot fetch TypeScript, this is
skipped; in CI it fails instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.panel.room import STATIC

NPX = shutil.which("npx")
TSC = [NPX or "npx", "--yes", "--package", "typescript@7.0.2", "tsc"]
OPTIONS = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2024"]
LIBRARIES = ["--module", "esnext", "--lib", "es2024,dom,dom.iterable"]


def skip(reason):
    (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def check(folder):
    command = [*TSC, *OPTIONS, *LIBRARIES, "panel.js"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if line]


@pytest.fixture(scope="module", autouse=True)
def compiler():
    if NPX is None:
        skip("There is no npx, which fetches TypeScript.")
    if subprocess.run([*TSC, "--version"], capture_output=True, check=False).returncode:
        skip("npx cannot fetch TypeScript.")


def test_the_front_ends_types_hold():
    assert check(STATIC) == []


def test_a_wrong_type_is_seen(tmp_path):
    shutil.copytree(STATIC, tmp_path, dirs_exist_ok=True)
    source = (tmp_path / "panel.js").read_text()
    wrong = source.replace('this.send({ kind: "stop" })', 'this.send({ kind: "halt" })')
    (tmp_path / "panel.js").write_text(wrong)
    [line, *_] = check(tmp_path)
    assert "TS2322" in line
