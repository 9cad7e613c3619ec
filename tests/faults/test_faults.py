"""Every way in which a server can misbehave, through everything that asks one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from nbagents.errors import ConfigurationError
from nbagents.testing import LoopbackServer
from nbagents.testing.faults import FAULTS
from tests.faults.page import PAGE, tables
from tests.faults.ways import WAYS, Room, room
from tests.test_pages import programs


@pytest.fixture(scope="module", name="room")
def _room() -> Iterator[Room]:
    with room() as opened:
        yield opened


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FAULTS)
def test_it_ends_as_stated_in_time_and_is_shown_once(room: Room, name: str, way: str) -> None:
    seen = room.ask(way, FAULTS[name])
    assert seen.outcome == replace(seen.wanted, says="")
    assert (seen.raw, seen.twice) == ([], [])
    if FAULTS[name].deadline:
        assert seen.seconds < 30  # the trial holds it to one
    assert room.elsewhere.requests == []


def test_no_two_ways_share_a_name_and_each_group_has_some() -> None:
    assert all(name == fault.name for name, fault in FAULTS.items())
    assert min(Counter(fault.group for fault in FAULTS.values()).values()) > 100


def test_each_says_in_one_line_what_it_is() -> None:
    whats = [fault.what for fault in FAULTS.values()]
    assert [what for what in whats if not what or not what.isprintable() or len(what) > 80] == []
    assert [what for what, count in Counter(whats).items() if count > 1] == []


def test_what_is_sent_by_the_gigabyte_is_not_written_out() -> None:
    assert len(repr(FAULTS)) < 1_000_000


def test_the_page_lists_them_all() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text[text.index("## ") :] == tables(), "write it anew: python -m tests.faults.page"


def test_a_name_that_is_none_is_told_with_the_nearest() -> None:
    server = LoopbackServer()
    with pytest.raises(ConfigurationError, match="Did you mean 'gzip_bomb'"):
        server.will_misbehave("gzip_bom")


async def test_the_program_on_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.warns(UserWarning, match="not a model known here"):
        await asyncio.to_thread(exec, programs("misbehaviour.md"), {})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Hello wörld 😀."
    assert second.startswith("IncompleteReplyError: ")
