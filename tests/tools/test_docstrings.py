"""What is read of docstrings."""

from __future__ import annotations

import inspect

import pytest

from nbagents.tools._docstrings import described


def read(docstring: str | None) -> tuple[str, dict[str, str]]:
    def function() -> None: ...

    function.__doc__ = docstring
    return described(function)


@pytest.mark.parametrize(
    ("docstring", "description", "parameters"),
    [
        (None, "", {}),
        ("Fly.", "Fly.", {}),
        ("Fly: far.||Note: not Args:|  x: y", "Fly: far.||Note: not Args:|  x: y", {}),
        # Google
        ("Fly.||Args:|  a: One.|  b (int, optional): 2: 3.", "Fly.", {"a": "One.", "b": "2: 3."}),
        ("Args:|    a: One.", "", {"a": "One."}),
        (
            "Fly.|Args:|  a (dict(str, int)): One,|      and more.||  b: Two.|Returns:|  c: d",
            "Fly.",
            {"a": "One, and more.", "b": "Two."},
        ),
        (
            "Fly.||Example:|  Args:|    a: no||Args:|  *b: Two.|  **c: 3",
            "Fly.",
            {"b": "Two.", "c": "3"},
        ),
        ("Fly.||Args:|    a:|        One.|    b:", "Fly.", {"a": "One."}),
        ("Fly.||Args:", "Fly.||Args:", {}),
        # NumPy
        (
            "Fly.||Parameters|----------|a : int|  One,|  and.|b, c|  Two.||Returns|-------|d|  e",
            "Fly.",
            {"a": "One, and.", "b": "Two.", "c": "Two."},
        ),
        ("Fly.||Parameters|of flying.", "Fly.||Parameters|of flying.", {}),
        # Sphinx
        (
            "Fly.||:param a: One,|    and more.|:param int b: Two.|:type a: str|:returns: c",
            "Fly.",
            {"a": "One, and more.", "b": "Two."},
        ),
        ("Say :func:`fly`.||:param dict[str, int] a: One.", "Say :func:`fly`.", {"a": "One."}),
        (":param a: One.", "", {"a": "One."}),
    ],
)
def test_the_text_and_the_parameters(
    docstring: str | None, description: str, parameters: dict[str, str]
) -> None:
    """``|`` is a line break."""
    written = docstring and docstring.replace("|", "\n")
    assert read(written) == (description.replace("|", "\n"), parameters)


def test_whatever_stands_there_is_read() -> None:
    for function in vars(inspect).values():
        if inspect.isfunction(function):
            described(function)
