"""How calls are shown to the person who is asked whether they may run."""

from __future__ import annotations

import pytest

from nbagents.messages import FunctionCall, call_line


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
