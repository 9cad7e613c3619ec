"""What Tab offers in a chat cell, asked of a real kernel and of the function behind it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from nbagents.notebook._completion import complete
from nbagents.notebook._options import BY_NAME
from tests.notebook.kernels import Kernel


class City(BaseModel):
    name: str


class _Client:
    def create_stream(self) -> None: ...


VARIABLES = {
    "planets": [1],
    "place": SimpleNamespace(town="Oslo", _hidden=1),
    "City": City,
    "ada": _Client(),
    "_private": 1,
}


def models() -> tuple[str, ...]:
    return ("gpt-4o", "gpt-4o-mini", "o3")


@pytest.mark.parametrize(
    ("before", "fragment", "words"),
    [
        ("%%chat --mo", "--mo", ["--model"]),
        ("%%chat -", "-", list(BY_NAME)),
        ("%%chat ", "", ["ada", *BY_NAME]),
        ("%%chat a", "a", ["ada"]),
        ("%%chat ada ", "", list(BY_NAME)),
        ("%%chat -m ", "", ["gpt-4o", "gpt-4o-mini", "o3"]),
        ("%%chat ada --model gpt-4o-", "gpt-4o-", ["gpt-4o-mini"]),
        ("%%chat --model=o", "o", ["o3"]),
        ("%%chat --with pl", "pl", ["place", "planets"]),
        ("%chat_panel ", "", ["ada"]),
        ("history = %chat_history a", "a", ["ada"]),
        ("%%chat\n%chat_panel a", "", []),
        ("%%chat --with City,pla", "pla", ["place", "planets"]),
        ("%%chat --with City, pla", "pla", ["place", "planets"]),
        ("%%chat --with City ", "", ["ada", *BY_NAME]),
        ("%%chat -o an", "an", []),
        ("%%chat -o pla", "pla", ["place", "planets"]),
        ("%%chat --schema ", "", ["City"]),
        ("%%chat --format j", "j", ["json"]),
        ("%%chat -s ", "", []),
        ("%%chat\nSay {pla", "pla", ["place", "planets"]),
        ("%%chat\nSay {", "", ["City", "ada", "place", "planets"]),
        ("%%chat\nSay {place.t", "t", ["town"]),
        ("%%chat\nSay {nothing.t", "t", []),
        ("%%chat\nSay --mo", "", []),
        ("%chat --fr", "--fr", ["--fresh"]),
        ("x = %chat --fr", "--fr", ["--fresh"]),
        ("x = 1\n%chat -m o", "o", ["o3"]),
        ("%chat Say --mo", "--mo", []),
        ("%chat Say {pla", "pla", ["place", "planets"]),
        ("%chat_history --mo", "", []),
        ("%%time --mo", "", []),
        ("pla", "", []),
        ("print(f'{pla", "", []),
    ],
)
def test_what_fits_is_offered(before: str, fragment: str, words: list[str]) -> None:
    assert complete(before, VARIABLES, models) == (fragment, words)


@given(st.text() | st.text(alphabet="%chat -mwith=,{}.[]\n").map(lambda text: f"%%chat{text}"))
def test_no_text_raises(before: str) -> None:
    fragment, words = complete(before, VARIABLES, models)
    assert before.endswith(fragment)
    assert all(word.startswith(fragment) for word in words)


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with Kernel() as kernel:
        kernel.run("%load_ext nbagents\nplanets = [1]\nplate = 2")
        yield kernel


@pytest.mark.kernel
@pytest.mark.parametrize(
    ("code", "start", "matches"),
    [
        ("%%chat --max\nWhy?", 7, ["--max-tokens"]),
        ("%%chat --with planets,pl\nWhy?", 22, ["planets", "plate"]),
        ("%%chat -m gpt-4.1-m\nWhy?", 10, ["gpt-4.1-mini"]),
        ("%chat --bud", 6, ["--budget"]),
    ],
)
def test_a_kernel_offers_it_and_nothing_else(
    kernel: Kernel, code: str, start: int, matches: list[str]
) -> None:
    cursor = len(code.split("\n")[0])
    reply = kernel.complete(code, cursor)
    assert (reply["matches"], reply["cursor_start"], reply["cursor_end"]) == (
        matches,
        start,
        cursor,
    )


@pytest.mark.kernel
def test_a_kernel_offers_variables_in_the_body(kernel: Kernel) -> None:
    reply = kernel.complete("%%chat\nTell me of {pla and more", len("%%chat\nTell me of {pla"))
    assert (reply["matches"], reply["cursor_start"]) == (["planets", "plate"], 19)


@pytest.mark.kernel
def test_other_cells_complete_as_ever_and_after_unloading_chat_cells_too(kernel: Kernel) -> None:
    assert kernel.complete("plan", 4)["matches"] == ["planets"]
    kernel.run("%unload_ext nbagents")
    assert "--budget" not in kernel.complete("%%chat --bud\n", 12)["matches"]
