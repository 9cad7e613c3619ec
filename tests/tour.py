"""Show a notebook to somebody who has just cloned the project.

    python tests/tour.py notebooks/01_first_chat.ipynb

opens a copy of it in JupyterLab, in tour/, which git ignores: what somebody runs and tries there
changes nothing in the checkout. Where no browser can be opened, or with HEADLESS=1, it is
executed here instead: every cell and its output are printed as they come, and the executed
notebook and an HTML page of it are written to artifacts/.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import textwrap
import webbrowser
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode

BOLD, DIM, RED = "1", "2", "31"
ANSI = re.compile(r"\x1b\[[0-9;]*m")
KEPT_AS_WRITTEN = re.compile(r" {4}|\||.*\S {3}\S")
# What a terminal has no use for: HTML tags, and where links lead.
MARKUP = re.compile(r"</?\w+>|\[([^\]]+)\]\([^)]+\)")


def can_open_browser() -> bool:
    """Whether somebody in front of this machine would see a browser."""
    if os.environ.get("CI") or os.environ.get("SSH_CONNECTION"):
        return False
    if os.environ.get("BROWSER"):
        return True
    if sys.platform == "linux" and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def own_copy(path: Path, folder: Path) -> Path:
    """Copy what lies beside the notebook into the folder, and return the notebook's copy.

    What is in the folder already stays: somebody may have worked on it.
    """
    for source in path.parent.rglob("*"):
        copy = folder / source.relative_to(path.parent)
        if source.is_file() and ".ipynb_checkpoints" not in source.parts and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)
    return folder / path.name


def open_in_lab(path: Path) -> int:
    """Run JupyterLab on a notebook until the user ends it."""
    print(f"{path} is your copy; remove {path.parent}/ to begin anew.", flush=True)
    # Rooted here and not at the notebook, so that its links to the documentation work.
    command = [sys.executable, "-m", "jupyterlab", str(path), f"--ServerApp.root_dir={Path.cwd()}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with tempfile.TemporaryDirectory() as folder:
        try:
            return subprocess.call(command, env={**os.environ, **quiet(Path(folder))})
        except KeyboardInterrupt:
            return 0


def quiet(folder: Path) -> dict[str, str]:
    """Return the variables with which JupyterLab asks nothing about news over the first page.

    It takes no such option: it looks for what is switched off in its folders of settings.
    """
    off = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    page = folder / "labconfig/page_config.json"
    page.parent.mkdir()
    page.write_text(json.dumps(off), encoding="utf-8")
    known = os.environ.get("JUPYTER_CONFIG_PATH")
    return {"JUPYTER_CONFIG_PATH": os.pathsep.join([str(folder), *([known] if known else [])])}


class Terminal:
    """Text as a terminal shows it: as wide as the window, colours only where they are seen."""

    def __init__(self) -> None:
        self.width = min(shutil.get_terminal_size((88, 24)).columns, 100)
        self.colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def line(self, text: str = "", style: str = "", *, indent: str = "") -> None:
        """Print one line, folded at the window's width unless its columns mean something."""
        quote = "> " if text.startswith("> ") else ""
        if KEPT_AS_WRITTEN.match(text.removeprefix(quote)):
            folded = [indent + text]
        else:
            margin = indent + quote
            body = text.removeprefix(quote)
            folded = textwrap.wrap(
                body, self.width, initial_indent=margin, subsequent_indent=margin
            ) or [(indent + text).rstrip()]
        for part in folded:
            print(f"\x1b[{style}m{part}\x1b[0m" if self.colours and style else part, flush=True)

    def prose(self, markdown: str) -> None:
        """Print the paragraphs of a Markdown cell."""
        markdown = MARKUP.sub(r"\1", markdown)
        for paragraph in markdown.split("\n\n"):
            if paragraph.startswith(("```", "|", "- ", "* ", "1. ", "    ")):
                for line in paragraph.splitlines():
                    self.line(line, indent="    " if line.startswith("|") else "  ")
            else:
                self.line(" ".join(paragraph.split()), BOLD if paragraph.startswith("#") else "")
            self.line()


class CellOutput:
    """One cell's output, printed line by line while it grows.

    A reply is redrawn many times before it is whole; a line is printed once another follows it,
    and what a redrawing takes back for a moment is waited for.
    """

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        self.printed: list[str] = []

    def show(self, outputs: list[NotebookNode], *, whole: bool = False) -> None:
        """Print what is new in the outputs; the last line too when they are whole."""
        lines = "\n".join(filter(None, map(plain_text, outputs))).split("\n")
        known = len(self.printed)
        if lines[:known] != self.printed:
            if not whole:
                return
            known = next(n for n, line in enumerate(self.printed) if lines[n : n + 1] != [line])
        fresh = lines[known:] if whole and any(lines) else lines[known:-1]
        for line in fresh:
            self.terminal.line(line, indent="  ")
        self.printed = lines[:known] + fresh


def plain_text(output: NotebookNode) -> str:
    """Return what a terminal can show of an output."""
    match output.output_type:
        case "stream":
            text = output.text
        case "error":
            text = "\n".join(output.traceback)
        case _:
            text = output.data.get("text/plain", "")
    return ANSI.sub("", text).strip("\n")


class PrintingClient(NotebookClient):
    """Executes a notebook and prints its cells and their outputs as they come."""

    def __init__(self, nb: NotebookNode, terminal: Terminal, **settings: Any) -> None:
        super().__init__(nb, **settings)
        self.terminal = terminal
        self.cell_output = CellOutput(terminal)

    async def async_execute_cell(
        self, cell: NotebookNode, cell_index: int, *args: Any, **settings: Any
    ) -> NotebookNode:
        """Print the cell, and its output while it runs."""
        if cell.cell_type == "markdown":
            self.terminal.prose(cell.source)
            return cell
        for line in cell.source.splitlines():
            self.terminal.line(f"> {line}".rstrip(), BOLD)
        self.cell_output = CellOutput(self.terminal)
        try:
            return await super().async_execute_cell(cell, cell_index, *args, **settings)
        finally:
            self.cell_output.show(cell.get("outputs", []), whole=True)
            print()

    def process_message(self, msg: dict[str, Any], cell: NotebookNode, cell_index: int) -> Any:
        """Keep the message as nbclient does, and print what it added."""
        result = super().process_message(msg, cell, cell_index)
        self.cell_output.show(cell.outputs)
        return result


def run_here(path: Path, folder: Path) -> int:
    """Execute the notebook, print it, and write it and its HTML page; return the exit status."""
    terminal = Terminal()
    notebook = nbformat.read(path, as_version=4)
    client = PrintingClient(
        notebook,
        terminal,
        timeout=300,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    try:
        client.execute()
        failed = False
    except (CellExecutionError, DeadKernelError) as error:
        reason = ANSI.sub("", str(error)).strip().splitlines()[-1]
        terminal.line(f"The notebook stopped: {reason}", RED)
        failed = True
    folder.mkdir(parents=True, exist_ok=True)
    page, _ = HTMLExporter().from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    nbformat.write(notebook, folder / path.name)
    (folder / path.with_suffix(".html").name).write_text(page, encoding="utf-8")
    terminal.line(f"Executed notebook: {folder / path.name}", DIM)
    terminal.line(f"HTML page:         {folder / path.with_suffix('.html').name}", DIM)
    return int(failed)


def main(path: Path) -> int:
    """Show the notebook the way this machine can."""
    if os.environ.get("HEADLESS", "0") in {"", "0"} and can_open_browser():
        # Beside notebooks/, so that links to the documentation lead there from here too.
        return open_in_lab(own_copy(path, Path("tour")))
    return run_here(path, Path("artifacts"))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
