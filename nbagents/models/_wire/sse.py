"""The bytes of an event stream, as events.

The rules are those of the HTML standard, section 9.2.6 ("Interpreting an event stream"), on
bytes: a line ends with LF, CR or CRLF and with nothing else, so a raw U+2028 or U+0085 is
content, and a character cut in two by the network needs no care. One rule is left out on
purpose: the standard throws away an event that the end of the body cuts off, but servers
end with ``data: [DONE]`` and no blank line, so :meth:`EventStreamDecoder.close` hands it out.
"""

from __future__ import annotations

from nbagents.errors import ProtocolError

__all__ = ["EventStreamDecoder", "NamedEvent"]

_DATA = len("data:")
_BOM = b"\xef\xbb\xbf"


class NamedEvent(bytes):
    """The data of an event that had a name other than ``message``, such as ``error``."""

    name: str

    @classmethod
    def of(cls, data: bytes, name: bytes) -> NamedEvent:
        """Give ``data`` its name."""
        event = cls(data)
        event.name = name.decode("utf-8", "replace")
        return event


class EventStreamDecoder:
    r"""Bytes in, as the network cuts them; the events' data out.

    An event's data is ``bytes``, its lines joined by ``\n``; that of an event with a name is
    a :class:`NamedEvent`, so that whoever does not care for names need not look. Events
    without data are not events. Whatever the cuts, the events are the same, and the time is
    linear in the bytes.

    Args:
        max_line: The longest line, and the longest event, in bytes.

    Attributes:
        failure: What stopped the decoder. The events found before it are handed out first;
            every later call raises it.
    """

    def __init__(self, max_line: int = 16 * 1024 * 1024) -> None:
        self.failure: ProtocolError | None = None
        self._max_line = max_line
        self._rest = bytearray()  # a line whose end has not come
        self._after_cr = False  # whether an LF now is the other half of a CRLF
        self._at_start = True
        self._data: bytes | bytearray | None = None
        self._more = 0  # lines that continued it
        self._name = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes, and return the data of the events they complete.

        Raises:
            ProtocolError: a line or an event is longer than ``max_line``.
        """
        self._stop_if_failed()
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        lines = data.split(b"\n")
        rest = lines.pop()
        long = len(self._rest) + len(data) > self._max_line
        if lines and self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        if lines and self._at_start:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        events = self._read(lines, check=long)
        if rest:
            self._rest += rest
            if len(self._rest) > self._max_line:
                self._fail("line")
        if not events:
            self._stop_if_failed()
        return events

    def close(self) -> list[bytes]:
        """End the body: return the event that its end cuts off, if any.

        Raises:
            ProtocolError: as :meth:`feed` did or was about to.
        """
        return self.feed(b"\n\n")

    def _stop_if_failed(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _with_line_feeds(self, data: bytes) -> bytes:
        """Turn CRLF and CR into LF, the two halves of a CRLF in different calls included."""
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _read(self, lines: list[bytes], *, check: bool) -> list[bytes]:
        events: list[bytes] = []
        for line in lines:
            if check and len(line) > self._max_line:
                self._fail("line")
            if self.failure is not None:
                break
            if not line:
                if self._data is not None:
                    events.append(self._event(self._data))
                    self._data = None
                self._name = b""
            elif line.startswith(b"data: "):
                self._add_data(line[6:])
            else:
                self._add_field(line)
        return events

    def _event(self, data: bytes | bytearray) -> bytes:
        if self._name in (b"", b"message"):
            return bytes(data)
        return NamedEvent.of(bytes(data), self._name)

    def _add_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._add_data(value.removeprefix(b" "))
        elif name == b"event":
            self._name = value.removeprefix(b" ")

    def _add_data(self, value: bytes) -> None:
        if self._data is None:
            self._data, self._more = value, 0
            return
        if isinstance(self._data, bytes):
            self._data = bytearray(self._data)
        self._data += b"\n"
        self._data += value
        self._more += 1
        if len(self._data) + _DATA * self._more > self._max_line:
            self._fail("event")

    def _fail(self, what: str) -> None:
        self._rest.clear()
        self._data = None
        self.failure = ProtocolError(
            f"The server's stream has {'an event' if what == 'event' else 'a line'} of more than "
            f"{self._max_line:,} bytes, so reading stopped. Check that the base URL is that of an "
            "OpenAI-compatible server."
        )
