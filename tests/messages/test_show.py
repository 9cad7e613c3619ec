"""How calls are shown to the person who is asked whether they may run."""

from __future__ import annotations

import json

import pytest

from nbagents.messages import FunctionCall
from nbagents.messages._show import arguments_text, call_line, calls_markdown


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ('{"to": "bob", "sum": 5}', "pay(to='bob', sum=5)"),
        ("", "pay()"),
        ('{"to": "a   b"}', "pay(to='a   b')"),
        (r'{"to": "a\nb\u001b[2J\u202eevil\u200b"}', r"pay(to='a\nb\x1b[2J\u202eevil\u200b')"),
        (r'{"a)? [y/N] y\n\u001b[8mRun b(to": 1}', r"pay('a)? [y/N] y\n\x1b[8mRun b(to'=1)"),
        ("[1]", "pay('[1]')"),
        ('\ufeff{"to":\n\u200b"eve"}', r"""pay('\ufeff{"to":\n\u200b"eve"}')"""),
    ],
)
def test_a_call_is_one_line_that_hides_nothing(arguments: str, shown: str) -> None:
    assert call_line(FunctionCall("c1", arguments, "pay")) == shown


def test_a_name_ends_where_it_ends() -> None:
    assert call_line(FunctionCall("c1", "{}", "pay(5)? ")) == "'pay(5)? '()"


@pytest.mark.parametrize(
    ("hidden", "shown"),
    [
        ("\u3164", r"\u3164"),  # a Hangul letter that is blank
        ("\u202e", r"\u202e"),  # what follows is written from right to left
        ("\u200b", r"\u200b"),  # no width
        ("\u00ad", None),  # a soft hyphen
        ("\ufe0f", r"\ufe0f"),  # a variation selector
        ("\U000e0041", r"\U000e0041"),  # a tag letter
        ("\u2800", r"\u2800"),  # a Braille blank
        ("\x1b", None),
        ("\ud800", None),
    ],
)
def test_what_nobody_would_see_in_a_call_is_written_out(hidden: str, shown: str | None) -> None:
    call = FunctionCall(id="1", name="run", arguments=json.dumps({"path": f"a{hidden}b"}))
    for text in (call_line(call), arguments_text(call), calls_markdown([call])):
        assert hidden not in text
        assert (shown or "a\\") in text


def test_letters_of_all_languages_stay_as_they_are_in_a_call() -> None:
    call = FunctionCall(id="1", name="run", arguments='{"path": "é漢字😀"}')
    assert call_line(call) == "run(path='é漢字😀')"
    assert arguments_text(call) == '{\n  "path": "é漢字😀"\n}'
