"""A loopback server of the OpenAI shape that answers at once, in a process of its own.

What it answers is in the path, so that every client sends the same request to it:

    /chunks/2000/v1                   a reply of 2,000 chunks, as fast as it can be read
    /chunks/2000/per-second/200/v1    the same, 200 chunks a second
    /times/50/per-second/5/v1         50 chunks, each the time at which it was due
    /ended                            when the last reply ended, in seconds since the epoch
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK_CHARACTERS = 6
AROUND = 4
"""Events of a stream that are no chunk of text: the role, the reason to stop, usage and end."""

_PAGE = """\
## Fitting the orbit

The period follows from the *semi-major axis*: $T^2 \\propto a^3$, so that

1. a planet four times as far needs **eight** years,
2. one nine times as far needs `27`.

```python
periods = frame["axis"] ** 1.5
print(periods.round(2))
```

| planet | axis | period |
| ------ | ---- | ------ |
| Earth  | 1.00 | 1.00   |
| Mars   | 1.52 | 1.88   |

"""
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ended = [0.0]
_PATH = re.compile(rb"/(chunks|times)/(\d+)(?:/per-second/(\d+))?/v1/chat/completions")
_BACKLOG = 4096
"""Connections that may wait to be accepted: a thousand come at once."""


def reply(chunks: int) -> list[str]:
    """The reply's chunks: some rich Markdown, over and over."""
    text = _PAGE * (chunks * CHUNK_CHARACTERS // len(_PAGE) + 1)
    return [text[i * CHUNK_CHARACTERS :][:CHUNK_CHARACTERS] for i in range(chunks)]


def _usage(chunks: int) -> dict[str, object]:
    return {
        "prompt_tokens": 12,
        "completion_tokens": chunks,
        "total_tokens": 12 + chunks,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _event(chunks: int, choices: list[dict[str, object]], usage: object = None) -> bytes:
    data = {
        "id": "chatcmpl-bench",
        "object": "chat.completion.chunk",
        "created": 1_760_000_000,
        "model": "gpt-4o-2024-08-06",
        "service_tier": "default",
        "system_fingerprint": "fp_bench",
        "choices": choices,
        "usage": usage,
    }
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, object]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]


@cache
def _events(chunks: int) -> list[bytes]:
    first = _event(chunks, _choice({"role": "assistant", "content": ""}))
    content = [_event(chunks, _choice({"content": piece})) for piece in reply(chunks)]
    last = [_event(chunks, _choice({}, "stop")), _event(chunks, [], _usage(chunks))]
    return list(map(_framed, [first, *content, *last, b"data: [DONE]\n\n"]))


def _framed(event: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(event), event)


# The moment a chunk was due, in as many digits as the chunk's length in the framing allows for.
_STAMPED = _framed(_event(0, _choice({"content": "0" * 20}))).replace(b"0" * 20, b"%020.6f")


@cache
def _completion(chunks: int) -> bytes:
    body = json.dumps(
        {
            "id": "chatcmpl-bench",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {
                    "index": 0,
                    "message": {
                        "role": "assistant",
                        "content": "".join(reply(chunks)),
                        "refusal": None,
                        "annotations": [],
                    },
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": _usage(chunks),
            "service_tier": "default",
            "system_fingerprint": "fp_bench",
        }
    ).encode()
    head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return (head % len(body)).encode() + body


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    body = json.loads(await reader.readexactly(int(length[1]) if length else 0) or b"{}")
    if head.startswith(b"GET /ended "):
        ended = json.dumps(_ended[-1]).encode()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(ended), ended))
        return
    path = _PATH.search(head)
    if path is None:
        writer.write(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")
        return
    chunks, per_second = int(path[2]), int(path[3] or 0)
    if not body.get("stream"):
        writer.write(_completion(chunks))
        return
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    await _send(_events(chunks), per_second, writer, timed=path[1] == b"times")
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    _ended.append(time.time())


async def _send(
    events: list[bytes], per_second: int, writer: asyncio.StreamWriter, *, timed: bool
) -> None:
    if not per_second:
        writer.write(b"".join(events))
        await writer.drain()
        return
    loop = asyncio.get_running_loop()
    started = loop.time()
    chunks = range(1, len(events) - AROUND + 1)
    for number, event in enumerate(events):
        due = started + number / per_second
        await asyncio.sleep(due - loop.time())
        writer.write(_STAMPED % due if timed and number in chunks else event)
        if writer.transport.get_write_buffer_size() or writer.is_closing():
            await writer.drain()


async def _serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            await _answer(reader, writer)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_serve_connection, "127.0.0.1", 0, backlog=_BACKLOG)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@contextmanager
def running() -> Iterator[str]:
    """Run the server in a process of its own; its address, without a path."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.server"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(_serve())
