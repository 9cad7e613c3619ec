"""The body of a streamed answer, read as a reply."""

from __future__ import annotations

from collections.abc import Iterator

from nbagents._keys import masked
from nbagents.errors import IncompleteReplyError, ProtocolError
from nbagents.messages import StreamChunk
from nbagents.models._wire.fastjson import JSONError, loads
from nbagents.models._wire.reply import ReplyBuilder
from nbagents.models._wire.server_errors import error_described_by, error_in, one_line
from nbagents.models._wire.shapes import completion_to_chunk
from nbagents.models._wire.sse import EventStreamDecoder, NamedEvent

__all__ = ["ReplyReader", "read_completion"]

_BOM = b"\xef\xbb\xbf"
_MOST_SPACE = 65_536  # bytes of white space before the body's first character
_FIELDS = (b":", b"data", b"event", b"id", b"retry")
_SHOWN = 120  # bytes of a strange answer, in the message about it


class ReplyReader:
    """Bytes in, as the network cuts them; the reply's chunks out, as they are certain.

    A server that does not stream though it was asked to sends one JSON object; it is read as
    the completion it is. A page of HTML, or anything else, is an error that says so.

    Args:
        builder: What puts the reply together, and gives its result afterwards.
        max_line: The longest line of the stream, and the longest body that is no stream, in
            bytes.

    Attributes:
        done: Whether the server has said that nothing more comes. What follows is not read.
    """

    def __init__(self, builder: ReplyBuilder, *, max_line: int = 16 * 1024 * 1024) -> None:
        self.done = False
        self._builder = builder
        self._max_line = max_line
        self._decoder = EventStreamDecoder(max_line)
        self._streamed: bool | None = None  # None until the body's first character
        self._body = bytearray()
        self._head = b""
        self._events = 0
        self._ending = False

    def feed(self, data: bytes) -> Iterator[StreamChunk]:
        """Take the next bytes; yield the chunks they complete.

        The iterator is to be used up before the next call.

        Raises:
            RequestError: The stream holds an error of the server's.
            ProtocolError: The bytes are not what the API promises.
        """
        if self.done:
            return
        if self._streamed is None:
            self._body += data
            data = self._begin()
        if self._streamed:
            if len(self._head) < _SHOWN:
                self._head = (self._head + data).lstrip()[:_SHOWN]
            yield from self._read(self._decoder.feed(data))
        elif len(self._body) + len(data) > self._max_line:
            self._refuse(f"more than {self._max_line:,} bytes that are no event stream")
        else:
            self._body += data

    def close(self) -> Iterator[StreamChunk]:
        """End the body: yield what was held back, or the whole of a body that was no stream.

        Raises:
            RequestError: As :meth:`feed`.
        """
        if self._streamed is False:
            yield from self._read_whole()
            return
        if not self.done:
            self._ending = True
            yield from self._read(self._decoder.close())
        head = self._head.removeprefix(_BOM)
        if head and not self._events and not head.startswith(_FIELDS):
            raise _not_a_completion(head)
        yield from self._builder.flush()

    def _begin(self) -> bytes:
        """Tell a stream from a JSON object and from HTML by its first character."""
        data = bytes(self._body)
        start = data.removeprefix(_BOM).lstrip()
        if (not start or _BOM.startswith(start)) and len(data) < _MOST_SPACE:
            return b""
        self._streamed = start[:1] not in (b"{", b"[", b"<")
        if not self._streamed:
            return b""
        self._body.clear()
        return data

    def _read(self, events: list[bytes]) -> Iterator[StreamChunk]:
        self._events += len(events)
        for data in events:
            if self.done:
                return
            if data[:1] == b"{" and type(data) is bytes:
                yield from self._builder.add(self._decoded(data))
            else:
                yield from self._read_unusual(data)
        if self._decoder.failure is not None and not self.done:
            self._decoder.failure.partial = self._builder.partial
            raise self._decoder.failure

    def _read_unusual(self, data: bytes) -> Iterator[StreamChunk]:
        """Take an event that has a name, or whose data is not plainly an object."""
        text = data.strip()
        if text == b"[DONE]":
            self.done = True
            yield from self._builder.end()
        elif isinstance(data, NamedEvent) and data.name == "error":
            raise error_described_by(_described(text), partial=self._builder.partial)
        elif text:
            yield from self._builder.add(self._decoded(bytes(text)))

    def _decoded(self, data: bytes) -> object:
        try:
            return loads(data)
        except JSONError as error:
            if not self._ending:
                raise self._not_json(data, error) from error
            if self._builder.is_finished:  # what the end cut off was no part of the text
                return {}
            raise IncompleteReplyError(
                "The reply broke off in the middle of a chunk; .partial has what came. "
                "Run it again.",
                partial=self._builder.partial,
                retryable=True,
            ) from error

    def _not_json(self, data: bytes, error: JSONError) -> ProtocolError:
        shown = one_line(masked(data[: 4 * _SHOWN].decode("utf-8", "replace")), _SHOWN)
        return ProtocolError(
            f"The server sent a chunk that is not JSON ({one_line(str(error), 80)}): {shown} "
            "Run it again; if it happens again, check the base URL.",
            partial=self._builder.partial,
        )

    def _read_whole(self) -> Iterator[StreamChunk]:
        yield from read_completion(self._builder, bytes(self._body))
        self.done = True

    def _refuse(self, what: str) -> None:
        self._body.clear()
        raise ProtocolError(
            f"The server sent {what}. Check that the base URL is that of an OpenAI-compatible "
            "server.",
            partial=self._builder.partial,
        )


def read_completion(builder: ReplyBuilder, body: bytes) -> list[StreamChunk]:
    """Read the body of an answer that was not streamed.

    Raises:
        RequestError: The body is an error of the server's.
        ProtocolError: The body is not a completion.
        IncompleteReplyError: The body is JSON that was cut off.
    """
    try:
        completion = loads(body)
    except JSONError as error:
        raise _not_a_completion(body) from error
    if (described := error_in(completion)) is not None:
        raise error_described_by(described)
    choices = completion.get("choices") if isinstance(completion, dict) else None
    if not isinstance(choices, list) or not choices:
        raise _not_a_completion(body)
    return builder.add(completion_to_chunk(completion)) + builder.end()


def _not_a_completion(body: bytes) -> ProtocolError:
    body = body.removeprefix(_BOM).strip()
    start = body[: 4 * _SHOWN]
    shown = one_line(masked(start.decode("utf-8", "replace")), _SHOWN)
    if not start:
        return IncompleteReplyError("The server's answer is empty. Run it again.", retryable=True)
    if start[:1] == b"{" and not body.endswith(b"}"):
        return IncompleteReplyError(
            "The server's answer broke off in the middle. Run it again.", retryable=True
        )
    if start[:1] == b"<":
        return ProtocolError(
            f"The server answered with a web page, not with a reply: {shown} "
            "Check the base URL (it usually ends with /v1), and whether a login stands before it."
        )
    return ProtocolError(
        f"The server's answer is not a chat completion: {shown} "
        "Check that the base URL is that of an OpenAI-compatible server."
    )


def _described(text: bytes) -> object:
    """What an event named ``error`` says: an error object in one of its shapes, or words."""
    try:
        said = loads(text)
    except JSONError:
        return text.decode("utf-8", "replace")
    return error_in(said) or said
