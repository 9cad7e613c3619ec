"""What the scenario's notebook calls: it runs in the kernel, and holds no credential itself."""

from __future__ import annotations

import base64
import copy
import json
import logging
import os
import pickle
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.identity import ClientSecretCredential, get_bearer_token_provider
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

import nbagents
from nbagents.agents import ChatAgent
from nbagents.loop import run
from nbagents.messages import UserMessage
from nbagents.models import (
    AzureOpenAIChatCompletionClient,
    OpenAIChatCompletionClient,
)
from tests.secrets.canaries import marker

__all__ = ["Place", "ask", "clients", "keep", "log_everything", "show_in_all_modes", "walk"]

MODES = ("Plain", "Context", "Verbose", "Minimal")
ERRORS: list[BaseException] = []
_SCOPE = "https://cognitiveservices.azure.com/.default"


class Place:
    """Something with a secret in it that everybody can see: what a leak looks like."""

    def __init__(self, place: str) -> None:
        self.inside = {"somewhere": [marker(place)]}


def keep(place: str, name: str, data: str | bytes) -> None:
    """Write something into the evidence of a place."""
    folder = Path(os.environ["EVIDENCE"], place)
    folder.mkdir(exist_ok=True)
    with (folder / name).open("ab") as file:
        file.write(data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data)


def log_everything() -> None:
    """All logs at DEBUG into a file: as lines, and as the records that other handlers get."""

    class Records(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines = [repr(vars(record)), *walk(record.args, 1)]
            if record.exc_info and record.exc_info[1] is not None:
                lines += _with_locals(record.exc_info[1])
            keep("logs", "records.txt", "\n".join(lines))

    folder = Path(os.environ["EVIDENCE"], "logs")
    folder.mkdir(exist_ok=True)
    lines = logging.FileHandler(folder / "debug.log")
    logging.basicConfig(level=logging.DEBUG, handlers=[lines, Records()], force=True)
    logging.getLogger("canary").debug("a leak: %s", marker("logs"))


def clients() -> dict[str, Callable[[], Any]]:
    """Clients by what they are given; each reads the environment when it is made."""
    env, server, scope = os.environ, os.environ["SERVER"], _SCOPE
    authority: dict[str, Any] = {
        "authority": env["AUTHORITY"],
        "disable_instance_discovery": True,
        "connection_verify": env["TRUSTED"],
    }
    there: dict[str, Any] = {"model": "gpt-4o", "base_url": f"{server}/v1", "max_retries": 0}
    azure: dict[str, Any] = {
        "model": "gpt-4o",
        "azure_endpoint": server,
        "api_version": "2024-10-21",
        "max_retries": 0,
    }
    name = base64.b64decode(env["CANARY_USERINFO"]).decode()

    def entra(tenant: str) -> Any:
        secret = ClientSecretCredential(tenant, "client-id", env["CANARY_ENTRA"], **authority)
        provider = get_bearer_token_provider(secret, scope)
        return AzureOpenAIChatCompletionClient(**azure, azure_ad_token_provider=provider)

    def openai(**given: Any) -> Any:
        return OpenAIChatCompletionClient(**{**there, "api_key": env["CANARY_KEY"], **given})

    return {
        "key of the environment": lambda: OpenAIChatCompletionClient(model="gpt-4o", max_retries=0),
        "key": openai,
        "function": lambda: openai(api_key=lambda: env["CANARY_KEY"]),
        "headers": lambda: openai(default_headers={"X-Gateway-Token": env["CANARY_HEADER"]}),
        "extra headers": lambda: openai(extra_headers={"X-Gateway-Key": env["CANARY_HEADER"]}),
        "query": lambda: openai(default_query={"key": env["CANARY_QUERY"]}),
        "address": lambda: openai(base_url=server.replace("//", f"//{name}@") + "/v1"),
        "azure key": lambda: AzureOpenAIChatCompletionClient(**azure, api_key=env["CANARY_AZURE"]),
        "azure token": lambda: AzureOpenAIChatCompletionClient(
            **azure, azure_ad_token=env["CANARY_TOKEN"]
        ),
        "entra": lambda: entra("tenant"),
        "entra refused": lambda: entra("refused"),
    }


MADE: dict[str, Any] = {}


def client(name: str) -> Any:
    """One of `clients`, made once."""
    if name not in MADE:
        MADE[name] = clients()[name]()
    return MADE[name]


def ask(name: str, echo: str, *, streaming: bool = True) -> Any:
    """Ask a client for an echo; what it answers is kept, and so is what it raises."""
    prompt = [UserMessage(content=f"echo: {echo}", source="user")]

    async def streamed() -> Any:
        async for event in client(name).create_stream(prompt, extra_create_args=_more(name)):
            last = event
        return last

    async def whole() -> Any:
        return await client(name).create(prompt, extra_create_args=_more(name))

    try:
        said = run(streamed() if streaming else whole())
    except Exception as error:
        if len(ERRORS) < 2000:
            ERRORS.append(error)
        raise
    keep("results", "results.txt", said.model_dump_json() + repr(said) + str(said))
    return said


def _more(name: str) -> dict[str, Any]:
    # Not in a variable of `ask`: tracebacks show the user's own, and this is the user's.
    return {"extra_headers": {"X-Call-Token": os.environ["CANARY_CALL"]}} if name == "key" else {}


_WAYS = {
    "alone": "ask({name!r}, {echo!r}, streaming={streaming})",
    "wrapped": """\
try:
    ask({name!r}, {echo!r}, streaming={streaming})
except Exception as error:
    raise RuntimeError("mine") from error
""",
    "its cause": """\
try:
    ask({name!r}, {echo!r}, streaming={streaming})
except Exception as error:
    raise error.__cause__ or error
""",
}


def show_in_all_modes(asked: list[tuple[str, str, bool]], *, whole: bool) -> int:
    """Run faults in cells of the real shell; return how many tracebacks were shown.

    Each is shown as it is, behind an error of the user's own, or its cause by itself: the whole
    shows what is asked with a key in all ways and modes, and with others in all modes.
    """
    shell: Any = get_ipython()
    original, shown, mode = shell._showtraceback, 0, ""

    def noting(kind: Any, error: Any, lines: list[str]) -> None:
        nonlocal shown
        shown += 1
        keep("tracebacks", f"{mode}.txt", "\n".join([*lines, *_with_locals(error)]) + "\n")
        original(kind, error, lines)

    shell._showtraceback = noting
    try:
        for mode in MODES:
            shell.run_line_magic("xmode", mode)
            for at, (name, echo, streaming) in enumerate(asked):
                for code in _ways(at, MODES.index(mode), all_=whole and name == "key", whole=whole):
                    shell.run_cell(code.format(name=name, echo=echo, streaming=streaming))
            shell.run_cell(f"leak = {marker('tracebacks')!r}\nraise ValueError(leak)")
    finally:
        shell._showtraceback = original
        shell.run_line_magic("xmode", "Context")
    return shown


def _ways(at: int, mode: int, *, all_: bool, whole: bool) -> list[str]:
    ways = [*_WAYS.values()]
    if all_:
        return ways
    turn, its_mode = divmod(at, len(MODES))
    return [ways[(turn + mode) % len(ways)]] if whole or its_mode == mode else []


def _with_locals(error: BaseException) -> list[str]:
    """What a handler shows that prints the variables of every frame but the user's own."""
    try:
        told = traceback.TracebackException.from_exception(error, capture_locals=True)
    except Exception:
        return traceback.format_exception(error)
    waiting: list[traceback.TracebackException | None] = [told]
    while waiting:
        each = waiting.pop()
        if each is not None:
            waiting += [each.__cause__, each.__context__, *(each.exceptions or ())]
            for frame in each.stack:
                if "site-packages" not in frame.filename and "nbagents" not in frame.filename:
                    frame.locals = None
    return list(told.format())


def walk(thing: Any, depth: int = 4) -> Iterator[str]:
    """The representation of a thing, and of what is inside: attributes, values, items, causes."""
    yield from _walk(thing, depth, set())


def _walk(thing: Any, depth: int, seen: set[int]) -> Iterator[str]:
    if isinstance(thing, type(os.environ)):  # in which the keys are, by right
        return
    try:
        yield f"{thing!r} {thing!s}"
    except Exception as error:
        yield repr(error)
    if depth == 0 or id(thing) in seen or isinstance(thing, type | ModuleType | InteractiveShell):
        return
    seen.add(id(thing))
    for part in _parts(thing):
        yield from _walk(part, depth - 1, seen)


def _parts(thing: Any) -> Iterator[Any]:
    if isinstance(thing, dict):
        yield from [*thing.keys(), *thing.values()]
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from thing
    else:
        yield from getattr(thing, "__dict__", {}).values()
        for kind in type(thing).__mro__:
            names = getattr(kind, "__slots__", ())
            for name in (names,) if isinstance(names, str) else names:
                if hasattr(thing, name):
                    yield getattr(thing, name)
    if isinstance(thing, BaseException):
        yield from (thing.__cause__, thing.__context__, thing.args)


def keep_objects(agent: ChatAgent, *others: Any) -> None:
    """Representations, copies and pickles of everything that was made and raised."""
    things = [*MADE.values(), agent, nbagents.ledger, *others, *ERRORS]
    shell: Any = get_ipython()
    things += [each for each in shell.magics_manager.registry.values() if _is_ours(each)]
    for thing in [*things, Place("representations")]:
        keep("representations", "walked.txt", "\n".join(walk(thing)) + "\n")
    for thing in [*things, Place("copies")]:
        for make in (copy.copy, copy.deepcopy):
            try:
                keep("copies", "walked.txt", "\n".join(walk(make(thing))) + "\n")
            except Exception as error:
                keep("copies", "refused.txt", "\n".join([repr(error), *_with_locals(error)]))
    for thing in [*things, Place("pickles")]:
        try:
            keep("pickles", "all.pickle", pickle.dumps(thing))
        except Exception as error:
            keep("pickles", "refused.txt", "\n".join([repr(error), *_with_locals(error)]))


def _is_ours(thing: Any) -> bool:
    return type(thing).__module__.startswith("nbagents")


def leave_a_temporary_file() -> None:
    """A leak of the kind that nobody looks for."""
    with tempfile.NamedTemporaryFile("w", delete=False, suffix=".json") as file:
        json.dump({"leak": marker("temporary")}, file)
