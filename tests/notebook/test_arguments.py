"""What may stand in the line of a chat cell."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.agents import ChatAgent
from nbagents.errors import ConfigurationError
from nbagents.models import ReplayChatCompletionClient
from nbagents.notebook._arguments import ChatArguments, parse_cell, parse_line
from nbagents.notebook._options import CHAT_HELP, OPTIONS


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", ChatArguments()),
        ("ada", ChatArguments(name="ada")),
        ("-m gpt-4o ada", ChatArguments(name="ada", model="gpt-4o")),
        ("ada --model=gpt-4o --fresh", ChatArguments(name="ada", model="gpt-4o", fresh=True)),
        ('-s "Be brief."', ChatArguments(system="Be brief.")),
        ("-s 'Don't be  long'", ChatArguments(system="Don't be  long")),
        ('--system="Say \\"yes\\"" --raw', ChatArguments(system='Say "yes"', raw=True)),
        ("-s 'You charge $5, {a: 1}'", ChatArguments(system="You charge $5, {a: 1}")),
        ("-t 0.7 --max-tokens 500", ChatArguments(temperature=0.7, max_tokens=500)),
        ("-t\t0", ChatArguments(temperature=0.0)),
        ("-o answer --no-stream", ChatArguments(out="answer", no_stream=True)),
        ("--with df,fig", ChatArguments(attach=("df", "fig"))),
        ("--with df, fig -m x", ChatArguments(attach=("df", "fig"), model="x")),
        ("--with df , fig", ChatArguments(attach=("df", "fig"))),
        ("--with df --with 'fig'", ChatArguments(attach=("df", "fig"))),
        ("--with d['k'],m.x", ChatArguments(attach=("d['k']", "m.x"))),
        ("--with 'd[\"k\"]',s --raw", ChatArguments(attach=('d["k"]', "s"), raw=True)),
        ('--with "a","b" , \'c\', "d,e" f', ChatArguments("f", attach=("a", "b", "c", "d", "e"))),
        ("--with s,'d[\"k\"]'", ChatArguments(attach=("s", 'd["k"]'))),
        ("--with d['a, b'],d[\"it's\"] x", ChatArguments("x", attach=("d['a, b']", 'd["it\'s"]'))),
        (
            "n --new --tools='f, g' --with df, x",
            ChatArguments("n", new=True, tools=("f", "g"), attach=("df", "x")),
        ),
        ("--format code", ChatArguments(format="code")),
        ("--schema City --format json", ChatArguments(schema="City", format="json")),
        ("--budget 0.05", ChatArguments(budget=0.05)),
        ("--budget $0.05", ChatArguments(budget=0.05)),
        ("-m 'gpt-4o'", ChatArguments(model="gpt-4o")),
        ("-m a -m b", ChatArguments(model="b")),
        ("ada --help -t hot", ChatArguments(help=True)),
        ("-h", ChatArguments(help=True)),
    ],
)
def test_the_line_of_a_cell_is_a_name_and_options(line: str, expected: ChatArguments) -> None:
    assert parse_cell(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("What's up?", ChatArguments(prompt="What's up?")),
        ("-m gpt-4o What is 'this'?", ChatArguments(model="gpt-4o", prompt="What is 'this'?")),
        ("--fresh Say  it --raw", ChatArguments(fresh=True, prompt="Say  it --raw")),
        ("-s 'Be brief' \"Hi\" she said", ChatArguments(system="Be brief", prompt='"Hi" she said')),
        ("-5 is negative?", ChatArguments(prompt="-5 is negative?")),
        ("- is a dash", ChatArguments(prompt="- is a dash")),
        ("--raw -- --fresh is what?", ChatArguments(raw=True, prompt="--fresh is what?")),
        ("What is $5 in {currency}?", ChatArguments(prompt="What is $5 in {currency}?")),
        ("What does curl --token do?", ChatArguments(prompt="What does curl --token do?")),
        ("", ChatArguments()),
        ("--help", ChatArguments(help=True)),
    ],
)
def test_a_line_is_options_and_then_the_prompt_as_typed(line: str, expected: ChatArguments) -> None:
    assert parse_line(line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tutor Why, and how?", ChatArguments(name="tutor", prompt="Why, and how?")),
        ("tutor -t 0 Why?", ChatArguments(name="tutor", temperature=0.0, prompt="Why?")),
        ("-t 0 tutor Why?", ChatArguments(name="tutor", temperature=0.0, prompt="Why?")),
        ("tutor tutor is who?", ChatArguments(name="tutor", prompt="tutor is who?")),
        ("tutor", ChatArguments(name="tutor")),
        ("-- tutor is who?", ChatArguments(prompt="tutor is who?")),
        ("Ask tutor.", ChatArguments(prompt="Ask tutor.")),
        ("tutor's work", ChatArguments(prompt="tutor's work")),
        ("client side or server side?", ChatArguments(prompt="client side or server side?")),
    ],
)
def test_a_line_that_begins_with_an_agents_name_is_for_that_agent(
    line: str, expected: ChatArguments
) -> None:
    client = ReplayChatCompletionClient([])
    assert parse_line(line, {"tutor": ChatAgent(client), "client": client}) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "--modle x",
            "There is no option --modle; did you mean --model? %%chat? lists the options.",
        ),
        ("--max_tokens 5", "There is no option --max_tokens; did you mean --max-tokens?"),
        ("-x", "There is no option -x"),
        ("-m", "-m needs a value: -m MODEL."),
        ("-m --fresh", "-m needs a value: -m MODEL."),
        ("-t hot", "-t takes a number from 0 to 2, such as 0.7, not 'hot'."),
        ("-t -1", "-t takes a number from 0 to 2, such as 0.7, not '-1'."),
        ("-t 9", "-t takes a number from 0 to 2, such as 0.7, not '9'."),
        ("-t nan", "-t takes a number from 0 to 2, such as 0.7, not 'nan'."),
        ("--max-tokens 0", "--max-tokens takes a whole number above 0, such as 500, not '0'."),
        ("--max-tokens 1e3", "--max-tokens takes a whole number above 0, such as 500, not '1e3'."),
        ("--budget lots", "--budget takes an amount in US dollars, such as 0.05, not 'lots'."),
        ("-o my-answer", "-o takes the name of a variable, not 'my-answer'."),
        ("-o class", "-o takes the name of a variable, not 'class'."),
        ("--with ,", "--with takes names of variables with commas between them, not ','."),
        ('--with "df s"', "--with takes names of variables with commas between them, not 'df s'."),
        ("--with f(x)", "--with takes names of variables with commas between them, not 'f(x)'."),
        ("--with 'df, s", "The quote after --with is never closed."),
        ("--format html", "--format takes one of markdown, text, json, code, not 'html'."),
        ("--schema City --format text", "--schema asks for JSON; leave --format out."),
        ("--fresh=yes", "--fresh is a switch; write it without a value."),
        ("-s 'Be brief", "The quote after -s is never closed."),
        (
            "What is this?",
            "'is' is out of place: the line takes one agent's name and options. Put the prompt on "
            "the lines below, or use %chat, with one %, for one line.",
        ),
        ("what's", '"what\'s" is out of place'),
        ("-m {modle}", "-m {modle}: there is no variable modle; did you mean model?"),
    ],
)
def test_a_mistake_is_one_line_with_the_next_step(line: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_cell(line, {"model": "gpt-4o"})
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_mistake_in_a_line_says_how_to_begin_the_prompt_with_a_dash() -> None:
    with pytest.raises(ConfigurationError, match="after -- everything is prompt"):
        parse_line("-force equals mass times what?")


@pytest.mark.parametrize(
    "line",
    [
        "--api-key abcdefgh",
        "--api_key=abcdefgh",
        "--key abcdefgh",
        "api_key=abcdefgh",
        "-OPENAI_API_KEY=abcdefgh",
        "-m sk-proj-0123456789abcdefgh",
        "sk-proj-0123456789abcdefgh",
        "-s 'use sk-proj-0123456789abcdefgh'",
        "0123456789abcdef0123456789abcdef",
        "-m " + "Ab1" * 28,
        "--with 0123456789abcdefgh0123456789abcdefgh",
        "--with ghp_abcdefgh" + "0123456789" * 3,
    ],
)
def test_a_key_on_the_line_is_refused_and_not_repeated(line: str) -> None:
    with pytest.raises(ConfigurationError, match="A key does not belong on a magic line") as caught:
        parse_cell(line)
    assert "abcdefgh" not in str(caught.value)
    if line.startswith("-"):
        with pytest.raises(ConfigurationError, match="A key does not belong"):
            parse_line(line)


def test_a_key_in_the_prompt_of_a_line_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="A key does not belong"):
        parse_line("Is sk-proj-0123456789abcdefgh valid?")


@pytest.mark.parametrize(
    "model",
    [
        "meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8",
        "hf.co/bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M",
        "ft:gpt-4o-mini-2024-07-18:acme::AbCdEf12",
        "0d7f4c6e-1b2a-4c3d-8e9f-0123456789ab",
    ],
)
def test_a_long_model_name_is_no_key(model: str) -> None:
    assert parse_cell(f"-m {model}").model == model


def test_values_of_options_may_be_variables() -> None:
    namespace = {"model": "gpt 4o", "city": "Oslo", "limit": 500}
    line = "-m $model -s 'You live in {city}; {a: 1} costs $5.' --max-tokens {limit}"
    assert parse_cell(line, namespace) == ChatArguments(
        model="gpt 4o", system="You live in Oslo; {a: 1} costs $5.", max_tokens=500
    )


def test_a_variables_value_is_never_read_as_options() -> None:
    assert parse_cell("-m {model}", {"model": "x --raw"}).model == "x --raw"


@pytest.mark.parametrize("value", ["{db_password}", "$db_password", "$odd", "{odd}"])
def test_a_value_is_filled_in_as_a_prompt_is_by_either_way_to_write_it(value: str) -> None:
    class Odd:
        def __str__(self) -> str:
            raise KeyError("hunter2")

    with pytest.raises(ConfigurationError, match="nothing was sent"):
        parse_cell(f"-s {value}", {"db_password": "hunter2", "odd": Odd()})


def test_every_option_sets_an_argument_and_is_in_the_help() -> None:
    fields = {field.name for field in dataclasses.fields(ChatArguments)}
    for option in OPTIONS:
        assert option.argument in fields
        assert f"  {', '.join(option.names)}" in CHAT_HELP
        assert option.about in CHAT_HELP
    assert fields - {option.argument for option in OPTIONS} == {"name", "prompt"}


def test_the_help_fits_beside_a_file_browser() -> None:
    assert max(map(len, CHAT_HELP.splitlines())) < 80


@given(st.text() | st.text(alphabet="-amst ='\"\\$,{}x1\t"))
def test_no_line_raises_anything_but_a_readable_error(line: str) -> None:
    for parse in (parse_cell, parse_line):
        try:
            parse(line, {"a": 1})
        except ConfigurationError as error:
            assert "\n" not in str(error)  # noqa: PT017 - most lines do not raise


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"])))
def test_a_prompt_without_options_is_kept(prompt: str) -> None:
    assert parse_line(f"-- {prompt}").prompt == prompt.strip()
