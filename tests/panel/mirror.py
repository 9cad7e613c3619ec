"""What a front end makes of a panel's messages, by the rules of the protocol alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class Mirror:
    """Keeps a conversation up to date from what it is told; checks that nothing is missing.

    Attributes:
        messages: The conversation, in order.
        busy: Whether a reply is under way.
        waiting_for: What it waits for.
        totals: What the replies took, in words.
    """

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.busy = False
        self.waiting_for: str | None = None
        self.totals = ""
        self._seq: int | None = None

    def take(self, *contents: Mapping[str, Any]) -> None:
        for content in contents:
            self._count(content)
            getattr(self, f"_{content['kind']}", lambda _: None)(content)

    def take_all(self, contents: Iterable[Mapping[str, Any]]) -> None:
        self.take(*contents)

    def message(self, identity: str) -> dict[str, Any]:
        return next(message for message in self.messages if message["id"] == identity)

    def _count(self, content: Mapping[str, Any]) -> None:
        if "seq" not in content:
            return
        if content["kind"] != "whole" and self._seq is not None:
            assert content["seq"] == self._seq + 1, "a message is missing"
        self._seq = content["seq"]

    def _message(self, content: Mapping[str, Any]) -> None:
        new = dict(content["message"])
        for number, old in enumerate(self.messages):
            if old["id"] == new["id"]:
                self.messages[number] = new
                return
        self.messages = sorted([*self.messages, new], key=lambda message: message["at"])

    def _blocks(self, content: Mapping[str, Any]) -> None:
        blocks = self.message(content["id"])[content["part"]]
        start, keep = content["start"], 2 * content["keep"]
        assert start <= len(blocks), "a block is missing"
        before = blocks[start].encode("utf-16-le") if start < len(blocks) else b""
        assert keep <= len(before), "a block is shorter than was thought"
        first, *rest = content["html"]
        blocks[start:] = [before[:keep].decode("utf-16-le") + first, *rest]

    def _removed(self, content: Mapping[str, Any]) -> None:
        gone = content["ids"]
        self.messages = [message for message in self.messages if message["id"] not in gone]

    def _busy(self, content: Mapping[str, Any]) -> None:
        self.busy, self.waiting_for = content["busy"], content["waiting_for"]

    def _whole(self, content: Mapping[str, Any]) -> None:
        self.messages = [dict(message) for message in content["messages"]]
        self.busy, self.waiting_for = content["busy"], content["waiting_for"]
        self.totals = content["totals"]
