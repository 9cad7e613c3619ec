"""Answers that are no 200: every odd body, and redirects."""

from __future__ import annotations

import json
from collections.abc import Iterator

from nbagents.testing._script import ScriptedReply
from nbagents.testing.faults._fault import Fault, Outcome
from nbagents.testing.faults._parts import (
    ELSEWHERE,
    answer,
    failed,
    gzipped,
)

__all__ = ["faults"]

_WANTED = {
    400: failed("BadRequestError", status_code=400),
    500: failed("ServerError", retryable=True, status_code=500),
}


def faults() -> Iterator[Fault]:
    """All of this module."""
    for name, what, reply, wanted in (*_bodies(), *_redirects()):
        yield Fault(name, "status", what, [reply], wanted)
    yield _circle()


_Case = tuple[str, str, ScriptedReply, Outcome]


def _bodies() -> Iterator[_Case]:
    deep = b'{"error":' * 100_000
    long = json.dumps({"error": {"message": "Long. " * 200_000}}).encode()
    page = "<!DOCTYPE html><html><head><title>Sorry</title></head><body>nginx</body></html>"
    lying = {"content-type": "application/json", "content-length": "9000"}
    for status in (400, 500):
        wanted = _WANTED[status]
        bodies: tuple[tuple[str, str, ScriptedReply], ...] = (
            ("nothing", "no body", answer(status, b"")),
            ("page", "a web page", answer(status, page)),
            (
                "text",
                "plain text on several lines",
                answer(status, b"It broke.\r\n  Here.\n", content_type="text/plain"),
            ),
            ("string", "a JSON string", answer(status, '"It broke."')),
            ("null", "null", answer(status, b"null")),
            ("list", "an empty list", answer(status, [])),
            ("null_error", "an error that is null", answer(status, {"error": None})),
            ("error_text", "an error that is a string", answer(status, {"error": "It broke."})),
            ("error_number", "an error that is a number", answer(status, {"error": 7})),
            (
                "nested",
                "an error within an error",
                answer(status, {"error": {"error": {"message": "It broke."}}}),
            ),
            ("cut", "JSON that is cut", answer(status, b'{"error": {"mess')),
            ("deep", "JSON a hundred thousand deep", answer(status, deep)),
            ("huge", "a message of a megabyte", answer(status, long)),
            ("binary", "bytes that are no text", answer(status, bytes(range(256)) * 8)),
            (
                "escapes",
                "a message with escape sequences",
                answer(status, {"error": {"message": "\x1b[2J\x1b]0;x\x07It broke.\r\n\u202e"}}),
            ),
            (
                "shorter_than_told",
                "a body that ends before its length",
                ScriptedReply([b'{"error": {"message": "It'], status, lying, "length", "close"),
            ),
            (
                "gzipped",
                "a gzipped body",
                ScriptedReply(
                    gzipped([b'{"error": {"message": "It broke."}}']),
                    status,
                    {"content-encoding": "gzip"},
                ),
            ),
            (
                "not_gzipped",
                "a body that only says it is gzipped",
                answer(status, {"error": "It broke."}, content_encoding="gzip"),
            ),
        )
        for name, what, reply in bodies:
            yield f"body_{name}_{status}", f"{status} with {what}", reply, wanted


def _redirects() -> Iterator[_Case]:
    across = failed("ProtocolError", says="redirects to another server")
    for status in (301, 302, 303, 307, 308):
        yield (
            f"elsewhere_{status}",
            f"{status} to another host",
            _to(status, f"http://{ELSEWHERE}/v1/chat/completions"),
            across,
        )
    yield (
        "elsewhere_named",
        "307 to another host, with a password in the address",
        _to(307, f"http://ada:secret@{ELSEWHERE}/v1"),
        across,
    )
    yield (
        "elsewhere_without_scheme",
        "307 to //another-host",
        _to(307, f"//{ELSEWHERE}/v1"),
        failed("ProtocolError"),
    )
    yield "to_a_file", "307 to a file", _to(307, "file:///etc/passwd"), failed("ProtocolError")
    yield (
        "to_nowhere",
        "302 without a location",
        ScriptedReply(status=302, framing="length"),
        failed("ProtocolError", status_code=302),
    )
    yield (
        "to_rubbish",
        "302 to what is no address",
        _to(302, "http://[::1/:x"),
        failed("ProtocolError", status_code=302),
    )
    yield (
        "not_modified",
        "304 to a POST",
        ScriptedReply(status=304, framing="length"),
        failed("ProtocolError", status_code=304),
    )
    yield (
        "multiple_choices",
        "300 with a list",
        answer(300, ["a", "b"]),
        failed("ProtocolError", status_code=300),
    )


def _circle() -> Fault:
    again = [_to(307, "/v1/chat/completions")] * 25
    what = "307 to the same place, again and again"
    return Fault("in_a_circle", "status", what, again, failed("ProtocolError"))


def _to(status: int, location: str) -> ScriptedReply:
    return ScriptedReply([b"Moved."], status, {"location": location}, "length")
