"""What of a prompt is filled in from the kernel, and what stays as written."""

from __future__ import annotations

import datetime
import time
from collections import defaultdict
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.errors import ConfigurationError
from nbagents.notebook._template import VALUE_LIMIT, Expansion, expand

NAMESPACE = {
    "a": 1,
    "b": 2,
    "i": 3,
    "n": 1234567,
    "x": 2.34567,
    "table": "T",
    "name": "Ada",
    "price": 5,
    "fee": 6,
    "days": ["Monday", "Tuesday"],
    "ages": {"Ada": 36, "it's": 1},
    "who": "Ada",
    "day": datetime.date(2026, 11, 22),
    "person": SimpleNamespace(name="Grace", home=SimpleNamespace(city="Arlington")),
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("Hello {name}!", "Hello Ada!"),
        ("{name}{name}", "AdaAda"),
        ("{person.name} of {person.home.city}", "Grace of Arlington"),
        ("{days[0]} {days[-1]} {days[1][:3]}", "Monday Tuesday Tue"),
        ("{ages['Ada']} {ages[\"it's\"]} {ages[who]}", "36 1 36"),
        ("{days}", "['Monday', 'Tuesday']"),
        ("{name!r} {name!s}", "'Ada' Ada"),
        ("{x:.2f} {n:,} {x:.1%} {day:%d.%m.%Y}", "2.35 1,234,567 234.6% 22.11.2026"),
        ("{x:8.2f}|{name:>5}|{name:<5}|{x:^8.1f}|{i:03d}", "    2.35|  Ada|Ada  |  2.3   |003"),
        ("https://example.org/{name}/x", "https://example.org/Ada/x"),
        ("${price} and ${fee} (${price}/${fee})", "$5 and $6 ($5/$6)"),
        ("It was $5, {a}, and is $6", "It was $5, 1, and is $6"),
        ("| Price ($) | {a} | Cost ($) |", "| Price ($) | 1 | Cost ($) |"),
        ("A lone { and {name}", "A lone { and Ada"),
        ("A lone } and {name}", "A lone } and Ada"),
        ("Between `{` and `}` is {name}", "Between `{` and `}` is Ada"),
        ("One ` and {name}", "One ` and Ada"),
        ("- item\n\n    of {name}", "- item\n\n    of Ada"),
        ("Text\n    of {name}", "Text\n    of Ada"),
        ("> ```\n> {a}\n\n{a}", "> ```\n> {a}\n\n1"),
        ("```\n{a}\n```\n{a}", "```\n{a}\n```\n1"),
        ("~~~~\n{a}\n~~~\n{a}\n~~~~\n{a}", "~~~~\n{a}\n~~~\n{a}\n~~~~\n1"),
        ("`{a}` ``{a} ` {a}`` {a}", "`{a}` ``{a} ` {a}`` 1"),
        ("$x$ {a} $y$", "$x$ 1 $y$"),
        (r"\$x {a} y\$", r"\$x 1 y\$"),
        ("costs 5 $ for {a} and 6 $ for {b}", "costs 5 $ for 1 and 6 $ for 2"),
    ],
)
def test_a_variable_of_the_kernel_is_filled_in_prose(body: str, expected: str) -> None:
    assert expand(body, NAMESPACE).text == expected


@pytest.mark.parametrize(
    "body",
    [
        r"\frac{a}{b}",
        r"\sqrt[3]{a} \text{see {a} and {b}} \operatorname*{a}",
        r"\\frac{a}{b}",
        "x_{i} and ^{n} and x_{i}^{n}",
        "file_{name}.csv",
        "$k + {a} = {b}$",
        "$ {a} + x $",
        "$$\n{a}\n$$",
        r"\({a}\) and \[{a}\]",
        r"\begin{table}",
        "\\begin{align*}\n\n{a}\n\n\\end{align*}",
        r"\{a\} and \{a}",
        '{"a": 1, "b": {"a": 2}}',
        '{"name": "{name}"}',
        "{a: 1} {a:1} {a:b} {a, b} {'a': {b}} {a:1.5} {a:5} {a: {b}}",
        "{{name}} {{ name }} {{{name}}} {{ }} }} {{",
        "{ name } {} {0} {a b} {a+b} {len(name)} {name.upper()} {name..x}",
        "function f() { return {a} }",
        "`{a}` and ``{a}``",
        "`over\n{a} lines`",
        "```python\nprint(f'{a}')\n```",
        "- item\n  ```\n  {a}\n  ```",
        "1. ```\n   {a}\n   ```",
        "```\n{a} is never closed",
        "    {a} is indented code",
        "text\n\n\t{a}\n\n    {b}\n",
        "- item\n\n      {a}",
        "{a.__class__} {person.__dict__} {__name__}",
        "{None} {True} {lambda}",
    ],
)
def test_code_tex_json_and_braces_go_out_as_written(body: str) -> None:
    namespace = {**NAMESPACE, "__name__": "__main__"}
    assert (expand(body, namespace).text, expand(body, namespace).filled) == (body, ())


def test_what_looks_like_a_variable_and_is_none_is_told_and_stays() -> None:
    body = "{nmae} {person.age} {ages['Bob']} {days[9]} {name} {nmae} {x} {größe}"
    assert expand(body, NAMESPACE) == Expansion(
        text="{nmae} {person.age} {ages['Bob']} {days[9]} Ada {nmae} 2.34567 {größe}",
        filled=("name", "x"),
        lookalikes=("nmae", "person.age", "ages['Bob']", "days[9]", "größe"),
        sent=("name = Ada", "x = 2.34567"),
        missing=(
            "there is no such variable",
            "person has no attribute age",
            "ages has no item 'Bob'",
            "days has no item 9",
            "there is no such variable",
        ),
    )


def test_what_is_missing_within_a_variable_that_is_there_is_told() -> None:
    body = "{person.home.street} {ages[nobody]} {x[0]} {person.__dict__} {days[0][:1].up}"
    assert expand(body, NAMESPACE).missing == (
        "person.home has no attribute street",
        "there is no variable nobody",
        "x has no item 0",
        "__dict__ is not looked up",
        "days[0][:1] has no attribute up",
    )


def test_what_was_sent_is_said_in_short() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    body = "{day:%d.%m.%Y} {x} {x:.2f} {x} {name!r} {df} {long}"
    assert expand(body, {**NAMESPACE, "df": frame, "long": "word\n" * 100}).sent == (
        "day = 22.11.2026",
        "x = 2.34567",
        "x = 2.35",
        "name = 'Ada'",
        "df = pandas DataFrame (3 rows x 2 columns)",
        "long = word word word word word word…",
    )


@pytest.mark.parametrize(
    "field",
    [
        *("{len(days)}", "{i+1}", "{ n / 2 }", "{days[i-1]}", "{name.upper()}", "{name.upper()!r}"),
        *("{sum(ages.values()):.2f}", "{', '.join(d for d in days)}", "{days[0] if a else name}"),
        *("{{'a': 1}[name]}", "{max([a, b])}"),
    ],
)
def test_what_an_fstring_would_compute_is_told_and_stays(field: str) -> None:
    once = expand(f"{{name}}: {field} {field}", NAMESPACE)
    assert (once.text, once.computed) == (f"Ada: {field} {field}", (field,))


@pytest.mark.parametrize(
    "field",
    [
        *("{x=}", "{x = }", "{x=!r}", "{x=:.2f}", "{days[0]=}", "{name!a}", "{name:*^10}"),
        *("{n:+d}", "{n:#x}", "{i:03}", "{i:+}"),
    ],
)
def test_a_form_that_only_fstrings_know_is_told_and_stays(field: str) -> None:
    once = expand(f"{{name}}: {field} {field}", NAMESPACE)
    assert (once.text, once.unknown) == (f"Ada: {field} {field}", (field,))
    assert expand(field, {}).unknown == ()


def test_looking_a_value_up_changes_nothing() -> None:
    counts = defaultdict(int, known=1)
    once = expand("{counts['typo']} {counts['known']}", {"counts": counts})
    assert (once.text, once.missing) == ("{counts['typo']} 1", ("counts has no item 'typo'",))
    assert counts == {"known": 1}


@pytest.mark.parametrize(
    "body",
    [
        *(
            '{"a": 1, "b": a}',
            "{a:-1}",
            "{a == b}",
            "{a=1}",
            "{a: b}",
            "{a: 1, 'b': a+1}",
            "{'a': {b+1}}",
            "{[a, b]}",
            "{a, b}",
        ),
        *("{}", "{ a }", "{a b}", "{0}", "{1+1}", "{'a' + 'b'}", "{x | x > 0}", "{x | f(x)}"),
        *("{nobody+1}", "{file-name}", "{len(nobody)}", "{len([])}", "{a and b}", "{a in days}"),
        *("`{i+1}`", "```\n{i+1}\n```", "    {i+1}", "$x_{i+1}$", "x_{i+1}", r"\frac{i+1}{n-1}"),
        *(
            "$${i+1}$$",
            "function f() { return a+1 }",
            "{ a = a + 1; }",
            "{\n  len(days)\n}",
            "{{a+1}}",
            r"{a+1\d}",
        ),
        *("{" + "(" * 150 + "a", "{" + "(" * 90 + "a" + ")" * 90 + "+}", "{f('\0', a)}"),
    ],
)
def test_json_code_tex_and_prose_are_no_fstrings(body: str) -> None:
    assert expand(body, NAMESPACE) == Expansion(body)


def test_builtins_are_no_variables() -> None:
    assert expand("{list} {print}", {}).lookalikes == ("list", "print")


def test_what_is_filled_in_is_named_once_as_written() -> None:
    assert expand("{x} {x:.2f} {days[0]} {x}", NAMESPACE).filled == ("x", "days[0]")


def test_braces_in_a_value_are_not_filled_again() -> None:
    namespace = {"template": "{secret} {{", "secret": "x"}
    assert expand("<{template}>", namespace).text == "<{secret} {{>"


class _Moody:
    @property
    def mood(self) -> str:
        raise RuntimeError("not today\nnor tomorrow")

    @property
    def broken(self) -> str:
        return self.missing  # type: ignore[attr-defined, no-any-return]

    @property
    def gone(self) -> str:
        raise SystemExit("bye")

    def __str__(self) -> str:
        raise ValueError("no words")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{me.mood}", "Reading me.mood raised RuntimeError: not today; nothing was sent."),
        (
            "{me.broken}",
            "Reading me.broken raised AttributeError: '_Moody' object has no attribute 'missing'; "
            "nothing was sent.",
        ),
        ("{me.gone}", "Reading me.gone raised SystemExit: bye; nothing was sent."),
        ("{me}", "{me} raised ValueError: no words; nothing was sent."),
        (
            "{word:.2f}",
            "{word:.2f} raised ValueError: Unknown format code 'f' for object of type 'str'; "
            "nothing was sent.",
        ),
    ],
)
def test_a_value_that_raises_is_an_error_that_names_the_expression(body: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        expand(body, {"me": _Moody(), "word": "w"})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("body", "namespace"),
    [
        ("{word}", {"word": "sk-proj-0123456789abcdef"}),
        ("{settings}", {"settings": {"k": "AIza" + "x1" * 18}}),
        ("{api_key}", {"api_key": "anything"}),
        ("{config.password}", {"config": SimpleNamespace(password="hunter2")}),
        ("{env['OPENAI_API_KEY']}", {"env": {"OPENAI_API_KEY": "anything"}}),
    ],
)
def test_a_key_or_password_is_not_sent(body: str, namespace: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="nothing was sent") as caught:
        expand(body, namespace)
    assert "anything" not in str(caught.value)


def test_everyday_names_of_language_work_are_no_secrets() -> None:
    namespace = {"key": "C major", "token": "the", "monkey": "m", "max_tokens": 5, "secret": 3}
    assert expand("{key} {token} {monkey} {max_tokens} {secret}", namespace).text == (
        "C major the m 5 3"
    )


def test_a_long_value_is_cut_with_a_word_on_it() -> None:
    text = expand("<{book}>", {"book": "x" * 1_000_000}).text
    assert "[... 980,000 characters left out ...]" in text
    assert len(text) < VALUE_LIMIT + 100


def test_a_list_of_millions_is_filled_in_at_once_and_shortened() -> None:
    started = time.process_time()
    text = expand("{numbers}", {"numbers": list(range(5_000_000))}).text
    assert time.process_time() - started < 2
    assert text.startswith("[0, 1, 2,")
    assert text.endswith("more]")
    assert len(text) < VALUE_LIMIT


def test_a_table_is_filled_in_as_with_would_attach_it() -> None:
    frame = pd.DataFrame({"year": [2025], "people": [709_000]})
    assert expand("See {frame} here", {"frame": frame}).text == (
        "See \n```csv\ndtypes: year int64, people int64\n\n,year,people\n0,2025,709000\n```\n here"
    )


def test_an_object_is_filled_in_without_its_address() -> None:
    class Thing:
        pass

    assert " at 0x" not in expand("{thing}", {"thing": Thing()}).text


TEXTS = st.text(alphabet=st.sampled_from("ab{}[]()$\\_^`~ \n\t>-*1.:!'\"é\0")) | st.text()
NAMES = st.sampled_from(["a", "b", "ab", "é"])


@given(TEXTS)
def test_without_known_names_any_text_goes_out_as_written(text: str) -> None:
    once = expand(text, {})
    assert (once.text, once.filled) == (text, ())


@given(TEXTS, st.dictionaries(NAMES, st.integers() | st.text() | st.none()))
def test_no_text_raises_with_plain_values(text: str, namespace: dict[str, object]) -> None:
    expand(text, namespace)


@given(st.text(alphabet="xyz ,.\n{}"), st.text())
def test_only_the_field_changes(text: str, value: str) -> None:
    prose = text.replace("{", "(").replace("}", ")")
    # A paragraph of its own, so that no indentation makes it code.
    assert expand(f"{prose}\n\nQ {{name}}", {"name": value}).text == f"{prose}\n\nQ {value}"


@pytest.mark.parametrize(
    "piece",
    [
        *("{", "}", "{a}", "{{a}}", "\\a{", "\\a[", "a_{", "{a.", "{a[", "{a['"),
        *("`", "`` ` ", "$a ", "$ a ", "$$", "\\(", "\\begin{a}"),
        *("\n", "- ", "> ", "```\n", "    ", "\n    {a}\n\n"),
    ],
)
def test_hostile_texts_take_linear_time(piece: str) -> None:
    started = time.process_time()
    expand(piece * (100_000 // len(piece)), {"a": 1})
    assert time.process_time() - started < 4
