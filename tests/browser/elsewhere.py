"""Outputs of a live notebook in pages that are not JupyterLab's, with the widget managers that
other front ends load.

The managers come from npm, where their makers put them. The kernel is a real one: the page holds
it, as VS Code and Colab do, and the outputs stand in a frame of another origin that only gets its
messages. Nothing of this leaves the machine: what the page asks for is answered here.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.browser.lab import PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Frame, Route

    from tests.browser.lab import Lab

CACHE = Path(__file__).parents[2] / "build" / "npm"
PAGES = Path(__file__).with_name("pages")
ANYWIDGET = Path(sys.prefix) / "share" / "jupyter" / "nbextensions" / "anywidget" / "index.js"
FRAME = "http://outputs.localhost"
# What is loaded: a file of a package, by its exact version and the package's SHA-256.
SCRIPTS = {
    "/require.js": (
        "requirejs@2.3.8",
        "require.js",
        "777158e89275e16bd51aec3ef714fbcb5dc45789e7078659933bc814916d7dec",
    ),
    "/ipywidgets.js": (
        "@vscode/jupyter-ipywidgets8@1.0.9",
        "dist/ipywidgets.js",
        "9c0680c126bae81427625a8dae4c9edfaa408c8c694a20641002b5d7d77d1ca8",
    ),
    "/embed-amd.js": (
        "@jupyter-widgets/html-manager@1.0.15",
        "dist/embed-amd.js",
        "2b9d65cb7913e1c7d671757a10008b32c9c2448d4429513371e55c07d6107638",
    ),
}
# What a frame may do: VS Code's, and Colab's.
SANDBOXES = {
    "vscode": "allow-same-origin allow-pointer-lock allow-scripts allow-downloads allow-forms",
    "colab": "allow-same-origin allow-pointer-lock allow-scripts allow-downloads allow-forms "
    "allow-popups allow-popups-to-escape-sandbox",
}


def scripts() -> dict[str, bytes]:
    """The managers' scripts, by the address at which a page finds them; fetched once."""
    found = {address: _file(*named) for address, named in SCRIPTS.items()}
    return found | {"/anywidget.js": ANYWIDGET.read_bytes()}


def _file(package: str, path: str, digest: str) -> bytes:
    archive = CACHE / f"{package.replace('/', '-').strip('@')}.tgz"
    if not archive.exists():
        _fetch(package, archive)
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest, package
    with tarfile.open(archive) as opened:
        member = opened.extractfile(f"package/{path}")
        assert member is not None
        return member.read()


def _fetch(package: str, archive: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("There is no npm, which fetches other front ends' widget managers.")
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = [npm, "pack", package, "--silent", "--pack-destination", str(CACHE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError):
        pytest.skip(f"npm cannot fetch {package}.")
    (CACHE / done.stdout.split()[-1]).rename(archive)


class Elsewhere:
    """A page of another front end.

    Args:
        browser: The browser.
        lab: A server whose kernels are used.

    Attributes:
        page: Playwright's page.
        strays: The addresses outside that it asked for.
        errors: What it complained of.
    """

    def __init__(self, browser: Browser, lab: Lab) -> None:
        self.lab = lab
        self.page = browser.new_page(viewport={"width": 900, "height": 760})
        self.page.set_default_timeout(PATIENCE)
        self.strays: list[str] = []
        self.errors: list[str] = []
        self._answers = scripts()
        for path in PAGES.iterdir():
            self._answers[f"/{path.name}"] = path.read_bytes()
        self.page.route("**/*", self._answer)
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))

    def open(self, host: str, kernel: str) -> Frame:
        """Open a host, with a kernel of the server behind it; returns the outputs' frame."""
        given = {
            "kernel": kernel,
            "token": self.lab.token,
            "outputs": f"{FRAME}/{host}.html",
            "sandbox": SANDBOXES[host],
        }
        self.page.goto(f"{self.lab.address}/notebook.html?{urlencode(given)}")
        self.page.evaluate("ready")
        return self.outputs

    def open_saved(self, state: str, view: str) -> Frame:
        """Open a page of saved widgets; returns its only frame."""
        page = self._answers["/saved.html"].decode()
        filled = page.replace("STATE", state).replace("VIEW", view)
        self._answers["/filled.html"] = filled.encode()
        self.page.goto(f"{FRAME}/filled.html")
        return self.page.main_frame

    @property
    def outputs(self) -> Frame:
        """The frame that holds the outputs."""
        return self.page.frames[-1]

    def run(self, code: str) -> None:
        """Run a cell, and wait for its end."""
        self.page.evaluate("code => run(code)", code)

    def _answer(self, route: Route) -> None:
        url = route.request.url
        address, _, path = url.partition("?")[0].rpartition("/")
        body = self._answers.get(f"/{path}")
        if address not in (self.lab.address, FRAME) or body is None:
            self.strays.append(url)
            route.abort()
            return
        kind = "text/html" if path.endswith(".html") else "text/javascript"
        route.fulfill(body=body, content_type=kind)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)
