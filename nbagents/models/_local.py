"""Model servers on this machine, found by asking their usual ports."""

from __future__ import annotations

import http.client
import os
import re
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from nbagents.models._cassette.switch import replaying
from nbagents.models._requests import allowed, restricted
from nbagents.models._wire import fastjson

__all__ = ["SERVERS", "Found", "LocalServer", "find_servers", "is_chat_model", "models_at"]

_SECONDS = 0.3  # of loopback: a server that runs answers in milliseconds
_SECONDS_FOR_ALL = 0.5
_MOST_BYTES = 1024 * 1024
_LONGEST_NAME = 200

_NOT_FOR_CHAT = re.compile(
    r"embed(?!ded)|rerank|whisper|\btts\b|moderation|stable-diffusion|dall-e|\b(?:bge|gte|e5|minilm|clip)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class LocalServer:
    """A program that serves models with OpenAI's API, and the port it takes by default."""

    key: str
    name: str
    port: int

    @property
    def base_url(self) -> str:
        """Where its API begins."""
        return f"http://127.0.0.1:{self.port}/v1"


SERVERS = (
    LocalServer("ollama", "Ollama", 11434),
    LocalServer("lmstudio", "LM Studio", 1234),
    LocalServer("vllm", "vLLM", 8000),
    LocalServer("llamacpp", "llama.cpp", 8080),
)


@dataclass(frozen=True)
class Found:
    """A server that answered, and the names of its models that can chat; at least one."""

    server: LocalServer
    models: tuple[str, ...]

    def named(self, model: str) -> str | None:
        """The server's own name for a model; Ollama's ``:latest`` may be left out."""
        return next((name for name in self.models if name in (model, f"{model}:latest")), None)


def find_servers(servers: Sequence[LocalServer]) -> list[Found]:
    """Ask all ports at once, for at most half a second; the order is that of ``servers``.

    Nothing is asked under ``NBAGENTS_PROBE=0`` and where ``NBAGENTS_REQUESTS`` restricts
    requests: what a suite does must not depend on what runs beside it.
    """
    if os.environ.get("NBAGENTS_PROBE", "").strip() == "0" or restricted():
        return []
    answers: dict[LocalServer, list[str]] = {}

    def ask(server: LocalServer) -> None:
        answers[server] = models_at(server.base_url)

    asking = [threading.Thread(target=ask, args=(server,), daemon=True) for server in servers]
    deadline = time.monotonic() + _SECONDS_FOR_ALL
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    chatting = {server: _for_chat(answers.get(server, [])) for server in servers}
    return [Found(server, models) for server, models in chatting.items() if models]


def models_at(base_url: str) -> list[str]:
    """Ask a server of this machine for its models; empty when it gives no list as OpenAI's does.

    Proxies are not asked and redirects not followed.
    """
    place = urlsplit(base_url)
    if place.scheme != "http" or not allowed(base_url) or replaying():
        return []
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=_SECONDS)
    # What listens there may say a little again and again, and never come to an end.
    alarm = threading.Timer(_SECONDS_FOR_ALL, lambda: _hang_up(heard))
    alarm.daemon = True
    try:
        connection.connect()
        heard = connection.sock
        alarm.start()
        connection.request("GET", f"{place.path.rstrip('/')}/models")
        response = connection.getresponse()
        listed = fastjson.loads(response.read(_MOST_BYTES)) if response.status == 200 else None
    except (OSError, http.client.HTTPException, fastjson.JSONError):
        return []
    finally:
        alarm.cancel()
        connection.close()
    return _names(listed)


def is_chat_model(name: str) -> bool:
    """Whether a model can chat, by its name: embeddings, speech and images are told apart."""
    return _NOT_FOR_CHAT.search(name) is None


def _hang_up(heard: socket.socket) -> None:
    with suppress(OSError):  # it was closed
        heard.shutdown(socket.SHUT_RDWR)


def _for_chat(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in names if is_chat_model(name))


def _names(listed: object) -> list[str]:
    models = listed.get("data") if isinstance(listed, dict) else None
    if not isinstance(models, list):
        return []
    names = [model.get("id") for model in models if isinstance(model, dict)]
    return [name for name in names if isinstance(name, str) and _is_name(name)]


def _is_name(name: str) -> bool:
    """Whether it can be shown: any program may sit at a port, and what it says ends in notices."""
    return 0 < len(name) <= _LONGEST_NAME and name.isprintable()
