"""One notebook that does everything that is done with a key, in a real kernel.

All that it leaves behind is a file below one folder, a subfolder for each place.
"""

from __future__ import annotations

import base64
import json
import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter, PythonExporter
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from tests.certificates import tls_for_loopback
from tests.secrets.canaries import CANARIES, marker
from tests.secrets.server import ECHOES, authority, models
from tests.support import Server

__all__ = ["PLACES", "Run", "run"]

ROOT = Path(__file__).parents[2]

PLACES = (
    "notebook", "comms", "exports", "representations", "copies", "pickles", "tracebacks", "logs",
    "results", "cassette", "cache", "ledger", "agents", "frames", "temporary", "sent", "home",
    "streams", "widgets",
)  # fmt: skip
"""Where is looked; in each stands a leak that was planted, the way it would come there."""

_CLIENTS = (
    "key of the environment", "key", "function", "headers", "extra headers", "query", "address",
    "azure key", "azure token", "entra", "entra refused",
)  # fmt: skip

Faults = list[tuple[str, str, bool]]


@dataclass(frozen=True)
class Run:
    """What was done.

    Attributes:
        root: Where the evidence is.
        asked: How many faults were asked for, in each of the four modes of tracebacks.
        tracebacks: How many were shown.
    """

    root: Path
    asked: int
    tracebacks: int


def faults(share: float, seed: int) -> Faults:
    """Clients and what they ask for: with a key all echoes, with each other client some."""
    dice = random.Random(seed)
    echoes = dice.sample([*ECHOES], max(4, round(len(ECHOES) * share)))
    chosen = [("key", echo, bool(at % 3)) for at, echo in enumerate(echoes)]
    few = max(1, round(2 * share))
    for name in _CLIENTS:
        chosen += [(name, echo, True) for echo in dice.sample([*ECHOES], few)]
    return chosen


def cells(asked: Faults, *, whole: bool) -> list[str]:
    """The notebook."""
    echoes = list(dict.fromkeys(echo for name, echo, _ in asked if name == "key"))
    return [
        f"""\
%load_ext nbagents
import os, nbagents
from tests.secrets.inside import *
from tests.secrets import inside
from nbagents.agents import ChatAgent
from nbagents.models import ChatCompletionCache, SQLiteStore
log_everything()
for place in ("ledger", "cassette", "cache", "agents", "frames"):
    os.makedirs(f"../{{place}}")
stop = nbagents.ledger.persist("../ledger/usage.sqlite", notebook={marker("ledger")!r})
""",
        f"%%chat\nWho is there? {marker('notebook')}",
        "%%chat --no-stream\nAnd who else?",
        *(f"%%chat\necho: {echo}" for echo in echoes),
        "%chat_history",
        "%cassette ../cassette/canary.jsonl --mode record",
        f"%%chat\nKeep this: {marker('cassette')}",
        *(f"%%chat\necho: {echo}" for echo in echoes),
        "%cassette",
        "%cassette --off",
        "panel = nbagents.ChatPanel(ChatAgent(inside.client('key')))\npanel",
        f"panel.send('Say: {marker('comms')} {marker('widgets')}')\npanel.wait()",
        *(f"panel.send('echo: {echo}')\npanel.wait()" for echo in echoes[:8]),
        "keep('widgets', 'state.json', inside.json.dumps(panel.get_state(), default=str))",
        f"""\
tutor = ChatAgent(inside.client("headers"), name="tutor", system_message={marker("agents")!r})
tutor.ask_sync("Hello")
tutor.save("../agents/tutor.json")
again = ChatAgent.load("../agents/tutor.json", inside.client("azure key"))
again.ask_sync("Hello again")
again.save("../agents/again.json")
tutor
""",
        f"""\
cached = ChatCompletionCache(inside.client("query"), SQLiteStore("../cache/cache.sqlite"))
agent = ChatAgent(cached, name="cached")
agent.ask_sync("Keep this: {marker("cache")}")
agent.ask_sync("echo: reply")
agent.ask_sync("echo: whole reply")
""",
        f"shown = show_in_all_modes({asked!r}, whole={whole})\nprint('tracebacks:', shown)",
        "%agents",
        """\
frame = %usage
frame.to_csv("../frames/usage.csv")
frame.to_pickle("../frames/usage.pickle")
frame
""",
        f"""\
history = %chat_history
_ = open("../frames/history.html", "w").write(history.to_html() + {marker("frames")!r})
""",
        f"keep('results', 'planted.txt', {marker('results')!r})\n"
        f"inside.keep_objects(tutor, panel, again, agent)\ninside.leave_a_temporary_file()",
        f"import sys\nprint({marker('streams')!r}, file=sys.__stderr__)\n"
        f"get_ipython().run_line_magic('chat_history', '')\n# {marker('home')}",
        "stop()",
    ]


def run(root: Path, *, share: float, seed: int) -> Run:
    """Run the notebook, and put what it leaves into ``root``."""
    asked = faults(share, seed)
    with ExitStack() as stack:
        elsewhere = Path(stack.enter_context(TemporaryDirectory()))
        server = stack.enter_context(Server(models))
        context, trusted = tls_for_loopback(elsewhere)
        tenants = stack.enter_context(Server(authority, tls=context))
        variables = _environment(root, server, tenants, trusted)
        streams = _folder(root, "streams") / "kernel.txt"
        output = stack.enter_context(streams.open("wb"))
        notebook = new_notebook(
            cells=[new_code_cell(source) for source in cells(asked, whole=share >= 1)]
        )
        client = _Recorder(notebook, root, variables)
        with client.setup_kernel(cleanup_kc=True, env=variables, stdout=output, stderr=output):
            client.execute()
        _keep_notebook(notebook, root)
        sent = b"\n".join(request.raw for request in server.requests)
        (_folder(root, "sent") / "bodies.jsonl").write_bytes(sent + marker("sent").encode())
    return Run(root, len(asked), _tracebacks(notebook))


class _Recorder(NotebookClient):
    """Runs a notebook, and writes down every message that the kernel sent."""

    def __init__(self, notebook: NotebookNode, root: Path, variables: dict[str, str]) -> None:
        work = _folder(root, "work")
        manager = AsyncKernelManager()
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        manager._kernel_spec = KernelSpec(argv=command, display_name="canary", language="python")
        super().__init__(
            notebook,
            km=manager,
            allow_errors=True,
            timeout=1200,
            ipython_hist_file=str(_folder(root, "home") / "history.sqlite"),
            resources={"metadata": {"path": str(work)}},
        )
        self._messages = _folder(root, "comms") / "messages.jsonl"

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        with self._messages.open("a") as file:
            said = [msg["msg_type"], msg["content"], [bytes(b).hex() for b in msg["buffers"]]]
            file.write(json.dumps(said, default=str) + "\n")
        return super().process_message(msg, cell, cell_index)


def _environment(root: Path, server: Server, tenants: Server, trusted: Path) -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OPENAI_", "AZURE_", "NBAGENTS_", "PYTEST_", "JUPYTER_"))
    }
    userinfo = f"ada:{quote(CANARIES['password'], safe='')}"
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "HOME": str(_folder(root, "home")),
        "IPYTHONDIR": str(_folder(root, "home") / "ipython"),
        "TMPDIR": str(_folder(root, "temporary")),
        "EVIDENCE": str(root),
        "OPENAI_API_KEY": CANARIES["openai key"],
        "OPENAI_BASE_URL": server.base_url,
        "OPENAI_MODEL": "gpt-4o",
        "OPENAI_CUSTOM_HEADERS": f"X-Team-Token: {CANARIES['custom header']}",
        "SERVER": server.url,
        "AUTHORITY": tenants.url,
        "TRUSTED": str(trusted),
        "CANARY_KEY": CANARIES["openai key"],
        "CANARY_AZURE": CANARIES["azure key"],
        "CANARY_TOKEN": CANARIES["azure token"],
        "CANARY_ENTRA": CANARIES["entra secret"],
        "CANARY_HEADER": CANARIES["header"],
        "CANARY_CALL": CANARIES["one call's header"],
        "CANARY_QUERY": CANARIES["query"],
        "CANARY_USERINFO": base64.b64encode(userinfo.encode()).decode(),
    }


def _keep_notebook(notebook: NotebookNode, root: Path) -> None:
    text = nbformat.writes(notebook)
    (_folder(root, "notebook") / "canary.ipynb").write_text(text)
    exports = _folder(root, "exports")
    for exporter, name in (
        (HTMLExporter, "html"),
        (MarkdownExporter, "md"),
        (PythonExporter, "py"),
    ):
        exported, _ = exporter().from_notebook_node(notebook)
        planted = marker("exports") if name == "py" else ""
        (exports / f"canary.{name}").write_text(exported + planted, errors="backslashreplace")


def _tracebacks(notebook: NotebookNode) -> int:
    said = "".join(_texts(notebook))
    return int(said.partition("tracebacks: ")[2].split()[0])


def _texts(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        for output in cell.outputs:
            if output.output_type == "stream":
                yield output.text


def _folder(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir(exist_ok=True)
    return folder
