"""JupyterLab in Chromium, for tests: a server on a folder of its own, and what a person does.

The server sees none of the developer's settings, and what it starts ends with it. JupyterLab
puts its application object into the page (``window.jupyterapp``), so that waiting is for a
state and not for a time.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Locator

ARTIFACTS = Path(__file__).parents[2] / "artifacts"
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync"
    # A page that a test answers itself may speak to a server on this machine.
    " --disable-features=LocalNetworkAccessChecks"
)
# No question on the first start whether to fetch news.
QUIET = {"fetchNews": "false", "checkForUpdates": False}
# Without it JupyterLab asks which kernel to use.
METADATA = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SECONDS = 1_000
PATIENCE = 120 * SECONDS  # for what a busy machine does late

CURRENT = "jupyterapp.shell.currentWidget"
READY = f"""path => {CURRENT}?.context?.path === path && {CURRENT}.context.isReady
    && {CURRENT}.content.widgets.length"""
COMMAND = """([name, given]) => {
    window.underWay = (window.underWay ?? 0) + 1;
    jupyterapp.commands.execute(name, given).finally(() => { window.underWay -= 1; });
}"""
# Asked of the commands that were given, of the kernel's own status and of every cell's prompt.
IDLE = f"""() => !window.underWay && {CURRENT}?.sessionContext.session?.kernel?.status === "idle"
    && ![...{CURRENT}.node.querySelectorAll(".jp-InputPrompt")]
        .some(prompt => prompt.textContent.includes("*"))"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=FLAGS.split()
        )
        try:
            yield browser
        finally:
            browser.close()


class Lab:
    """A JupyterLab server; its folder is gone when it ends."""

    def __init__(self) -> None:
        self._home = tempfile.TemporaryDirectory(prefix="lab-", ignore_cleanup_errors=True)
        home = Path(self._home.name)
        self.folder = home / "notebooks"
        self.token = secrets.token_hex(8)
        self.address = f"http://127.0.0.1:{_free_port()}"
        self._log = home / "server.log"
        # A kernel below pytest would show finished replies only.
        hidden = ("AZURE_", "NBAGENTS_", "OPENAI_", "PYTEST_CURRENT_TEST")
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
        self._environment["NBAGENTS_REQUESTS"] = "loopback"
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            self._environment[name] = str(home / name.lower())
        self.folder.mkdir()
        settings = home / "jupyter_config_dir/lab/user-settings/@jupyterlab/apputils-extension"
        settings.mkdir(parents=True)
        (settings / "notification.jupyterlab-settings").write_text(json.dumps(QUIET))

    def __enter__(self) -> Self:
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": self.address.rpartition(":")[2],
            "ServerApp.port_retries": 0,
            "ServerApp.root_dir": self.folder,
            "IdentityProvider.token": self.token,
            "LabApp.expose_app_in_browser": True,
            "JupyterNotebookApp.expose_app_in_browser": True,
            "LabApp.extension_manager": "readonly",
            "LabApp.news_url": "",
        }
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, *(f"--{name}={value}" for name, value in options.items())],
                env=self._environment,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)
        self._home.cleanup()

    def _wait(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.ask("GET", "status")
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(self._log.read_text()) from None
                time.sleep(0.1)
            else:
                return

    def ask(self, method: str, path: str) -> Any:
        """Ask the server's own interface."""
        request = urllib.request.Request(f"{self.address}/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.token}")
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.loads(response.read() or b"null")

    def write(self, name: str, *cells: str) -> None:
        """Put a notebook of these code cells into the folder."""
        notebook = new_notebook(cells=[*map(new_code_cell, cells)], metadata=METADATA)
        nbformat.write(notebook, self.folder / name)

    def read(self, name: str) -> nbformat.NotebookNode:
        """A notebook of the folder, as it was saved."""
        return nbformat.read(self.folder / name, as_version=4)


class Window:
    """A window with JupyterLab in it.

    Args:
        lab: The server.
        browser: The browser.
        path: A page that shows one notebook; when left out it is JupyterLab, with a workspace of
            its own in which nothing is restored.

    Attributes:
        page: Playwright's page.
        strays: The addresses outside of the server that the page asked for.
    """

    def __init__(self, lab: Lab, browser: Browser, path: str = "") -> None:
        self.lab = lab
        self.page = browser.new_page(viewport={"width": 1_100, "height": 1_400})
        self.page.set_default_timeout(PATIENCE)
        self.strays: list[str] = []
        self.page.on("request", lambda request: self._note(request.url))
        self.page.on("dialog", self._answer)
        self._shows_one = bool(path)
        path = path or f"lab/workspaces/{secrets.token_hex(4)}"
        self.page.goto(f"{lab.address}/{path}?token={lab.token}")
        self.wait_loaded()

    def wait_loaded(self) -> None:
        """Wait until JupyterLab is there."""
        self.page.wait_for_function("window.jupyterapp?.started")
        self.page.evaluate("jupyterapp.restored")

    def _answer(self, dialog: Dialog) -> None:
        if dialog.type == "beforeunload":
            dialog.accept()
        else:
            self.strays.append("dialog")
            dialog.dismiss()

    def _note(self, url: str) -> None:
        own = (self.lab.address, self.lab.address.replace("http", "ws", 1), "data:", "blob:")
        if not url.startswith(own):
            self.strays.append(url)

    def open(self, name: str, *, kernel: bool = True) -> Notebook:
        """Open a notebook of the folder.

        Without a kernel it must be one that names none, so that JupyterLab asks.
        """
        if not self._shows_one:
            self.command("docmanager:open", path=name)
        notebook = self.opened(name)
        if kernel:
            notebook.wait_idle()
        else:
            self.page.click(".jp-Dialog .jp-mod-reject:has-text('No Kernel')")
        return notebook

    def opened(self, name: str) -> Notebook:
        """A notebook that is about to be in front."""
        self.page.wait_for_function(READY, arg=name)
        return Notebook(self, self.page.evaluate(f"{CURRENT}.id"))

    def close_all(self) -> None:
        """Close what is open without saving it, and end its kernels."""
        self.page.evaluate("[...jupyterapp.shell.widgets('main')].forEach(w => w.dispose())")
        for session in self.lab.ask("GET", "sessions"):
            self.lab.ask("DELETE", f"sessions/{session['id']}")

    def command(self, name: str, **arguments: Any) -> None:
        """Start a command of JupyterLab, as its menus do, and do not wait for its end."""
        self.page.evaluate(COMMAND, [name, arguments])

    def dress(self, theme: str) -> None:
        """Put on a theme, such as "JupyterLab Dark"."""
        self.command("apputils:change-theme", theme=theme)
        self.page.wait_for_selector(f"body[data-jp-theme-name='{theme}']", state="attached")

    def keep(self, name: str) -> Path:
        """Keep a screenshot among the artefacts."""
        ARTIFACTS.mkdir(exist_ok=True)
        path = ARTIFACTS / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path


class Notebook:
    """An open notebook; its cells are counted from 0, those of prose too."""

    def __init__(self, window: Window, identity: str) -> None:
        self.window, self.page = window, window.page
        self._identity = identity
        self._panel = self.page.locator(f'[id="{identity}"]')

    def show(self) -> None:
        """Bring it to the front."""
        self.page.evaluate("id => jupyterapp.shell.activateById(id)", self._identity)
        self.page.wait_for_function(f"id => {CURRENT}?.id === id", arg=self._identity)

    def run_all(self) -> None:
        """Run → Run All Cells."""
        self.window.command("notebook:run-all-cells")

    def run(self, number: int) -> None:
        """Run one cell."""
        self.page.evaluate(f"number => {{ {CURRENT}.content.activeCellIndex = number; }}", number)
        self.window.command("notebook:run-cell")

    def stop(self) -> None:
        """Press the toolbar's stop button."""
        self._panel.locator('[data-command="notebook:interrupt-kernel"]').click()

    def wait_running(self, number: int) -> None:
        """Wait until a cell runs or is queued."""
        self.cell(number).locator(".jp-InputPrompt", has_text="*").wait_for()

    def restart(self) -> None:
        """Press the toolbar's button that restarts the kernel, and confirm it."""
        self._panel.locator('[data-command="notebook:restart-kernel"]').click()
        self.page.click(".jp-Dialog .jp-mod-warn")

    def reload(self) -> None:
        """Load the page anew; the kernel stays."""
        path = self.page.evaluate(f"{CURRENT}.context.path")
        self.page.reload()
        self.window.wait_loaded()
        again = self.window.open(path)
        self._identity, self._panel = again._identity, again._panel

    def wait_idle(self) -> None:
        """Wait until no cell runs or is queued; the notebook must be in front."""
        self.page.wait_for_function(IDLE)

    def wait_for_text(self, number: int, text: str) -> None:
        """Wait until a cell's output says ``text``."""
        self.output(number).get_by_text(text).first.wait_for(state="attached")

    def cell(self, number: int) -> Locator:
        """A cell."""
        return self._panel.locator(".jp-Cell").nth(number)

    def output(self, number: int) -> Locator:
        """What stands below a cell."""
        return self.cell(number).locator(".jp-Cell-outputArea")

    def text(self, number: int) -> str:
        """The text of a cell's output as a person sees it, who scrolls there."""
        self.look_at(number)
        output = self.output(number)
        return output.inner_text() if output.count() else ""

    def look_at(self, number: int) -> None:
        """Scroll until a cell is at the top; JupyterLab does not render what is out of sight."""
        self.cell(number).evaluate("e => e.scrollIntoView({block: 'start', behavior: 'instant'})")

    def prompts(self) -> list[str]:
        """What stands before the code cells: ``[1]:`` has run, ``[ ]:`` has not."""
        return self._panel.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()

    def save(self) -> None:
        """Save it."""
        self.window.command("docmanager:save")
        self.page.wait_for_function("() => !window.underWay")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
