import json
from pathlib import Path

import pytest

from nbagents.models._embedded import guide
from nbagents.models._embedded.guide import reply

TOUR = json.loads((Path(guide.__file__).with_name("tour.json")).read_text())["replies"]


def ask(*questions):
    return reply([{"role": "user", "content": question} for question in questions])


@pytest.mark.parametrize("entry", TOUR, ids=lambda entry: entry["prompt"][:30])
def test_the_tours_prompts_get_the_replies_written_for_them(entry):
    said = ask(f"  {entry['prompt'].upper()}\n")
    assert (said.text, said.scripted) == (entry["reply"], True)


def test_what_is_attached_to_a_prompt_of_the_tour_does_not_hide_it():
    entry = TOUR[-1]
    attached = f"{entry['prompt']}\n\n`planets`, a DataFrame:\n\n| a |\n|---|\n| 1 |"
    assert ask(attached).text == entry["reply"]
    parts = [{"type": "text", "text": "planets: ..."}, {"type": "text", "text": entry["prompt"]}]
    assert ask(parts).text == entry["reply"]


def test_what_is_attached_to_a_question_is_no_part_of_it():
    rows = "\n".join(f"{number},humidity of vineyard {number}" for number in range(30))
    frame = f"`df` (pandas DataFrame, 30 rows x 1 column):\n```csv\n,harvest\n{rows}\n```"
    code = "`f` (function):\n````python\n# ``` in a comment\n```\ndef f(): ...\n````"
    question = "How do I set a budget?"
    alone = ask(question)
    assert alone.pages
    assert ask(f"{question}\n\n{frame}\n\n{code}") == alone
    assert ask([{"type": "text", "text": part} for part in (question, frame, code)]) == alone


def test_a_prompt_that_only_begins_like_the_tours_is_a_question_of_its_own():
    assert not ask(TOUR[0]["prompt"] + " And for moons?").scripted


def test_a_question_about_nbagents_is_answered_with_a_quotation_and_its_page():
    said = ask("How do I set a budget?")
    assert said.pages[0] == "docs/usage_and_budgets.md"
    assert "(`docs/usage_and_budgets.md`):\n\n> " in said.text


@pytest.mark.parametrize(
    "question", ["How do I set a budget?", "Hello!", "Who wrote Hamlet?", "What is 2 + 2?"]
)
def test_every_reply_of_its_own_says_what_it_is_and_how_to_connect_a_model(question):
    text = ask(question).text
    assert "no language model" in text
    assert "OPENAI_API_KEY" in text


@pytest.mark.parametrize("question", ["How do I set a budget?", "Hello!", "Who wrote Hamlet?"])
@pytest.mark.parametrize("first", ["How do I save an agent?", "Hello!", "Who wrote Faust?"])
def test_it_says_how_to_connect_a_model_once_in_a_conversation_and_then_in_a_line(first, question):
    opening = ask(first)
    said = reply(
        [
            {"role": "user", "content": first},
            {"role": "assistant", "content": opening.text},
            {"role": "user", "content": question},
        ]
    )
    assert said.text.split("\n\n")[-1].endswith(
        "I am no language model, and only search nbagents' documentation; how to connect a real "
        "model is said further above."
    )
    assert "OPENAI_API_KEY" not in said.text
    assert bool(said.pages) == bool(ask(question).pages)


@pytest.mark.parametrize(
    "question",
    [
        *("Who wrote Hamlet?", "Write me a poem about the sea.", "2 + 2?"),
        *("What is the capital of France?", "Which of these rows stand out in 2025, and why?"),
    ],
)
def test_what_the_documentation_does_not_speak_of_is_not_answered(question):
    said = ask(question)
    assert said.text.startswith("I found nothing about that.")
    assert said.pages == ()


def test_a_greeting_is_answered_with_what_can_be_asked():
    assert ask("Hello, who are you?").text.startswith("I am nbagents' embedded model")
    assert "*Getting started*" in ask("hi").text


def test_a_follow_up_is_understood_by_the_question_before():
    assert ask("How do I connect to Azure?", "And without a key?").pages[0] == (
        "docs/connect_azure.md"
    )


def test_what_was_asked_before_does_not_hide_what_is_asked_now():
    before = "Look at these wavelengths, humidity readings and harvest yields of Bordeaux wineries"
    question = "How do I make an agent with tools and approve its calls?"
    assert ask(before, question).pages == ask(question).pages != ()


def test_a_sum_is_no_follow_up():
    assert ask("How do I set a budget?", "2+2?").pages == ()


def test_as_json_it_says_the_same():
    said = ask("Who wrote Hamlet?")
    assert json.loads(said.as_json()) == {
        "answer": said.text,
        "pages": [],
        "is_language_model": False,
    }


def test_other_roles_and_odd_contents_do_not_disturb_it():
    said = reply([{"role": "system", "content": "Be brief."}, {"role": "user", "content": [None]}])
    assert said.text.startswith("I am nbagents' embedded model")
