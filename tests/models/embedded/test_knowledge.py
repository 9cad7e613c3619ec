import pytest

from nbagents.models._embedded.knowledge import Index, documentation, terms_of
from nbagents.models._embedded.passages import passages_of

TWO_PAGES = [
    *passages_of(
        "# Cats\n\nThey purr.\n\n## Feeding\n\nFish and milk. `%feed the red cat`", "a.md"
    ),
    *passages_of(
        "# Dogs\n\nThey bark at cats.\n\n## Feeding\n\nMeat, and the price of it.", "b.md"
    ),
]


def best(question, before=""):
    found = Index(TWO_PAGES).search(question, before)
    return (found[0].passage.page.name, found[0].passage.heading) if found else None


def test_words_in_titles_count_more_than_words_in_the_text():
    assert best("Tell me about cats") == ("a.md", "")


def test_endings_do_not_matter():
    assert best("How do I feed a dog?") == ("b.md", "Feeding")


def test_related_words_stand_for_each_other():
    assert best("What does it cost?") == ("b.md", "Feeding")


def test_the_question_before_says_what_a_follow_up_is_about():
    assert best("And feeding them?", before="What do dogs do?") == ("b.md", "Feeding")


def test_nothing_is_found_where_no_word_is_shared():
    assert best("What is the capital of France?") is None


def test_examples_are_not_what_a_passage_is_about():
    assert best("Is it red?") is None


def test_coverage_is_the_share_of_the_question_that_was_found():
    found = Index(TWO_PAGES).search("purring zebras")[0]
    assert 0.2 < found.coverage < 0.5
    assert Index(TWO_PAGES).search("purring")[0].coverage == 1.0


def test_of_a_long_question_the_first_forty_telling_words_count():
    words = " ".join(f"{first}{second}" for first in "abcdefghkl" for second in "bcdfghklmn")
    assert len(terms_of(words)) == 40


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("How do I connect to a server of my own, such as Ollama?", "connect_local.md"),
        ("How do I connect to OpenAI?", "connect_openai.md"),
        ("Can I use Entra ID instead of a key?", "connect_azure.md"),
        ("What does a reply cost?", "usage_and_budgets.md"),
        ("How can I set a budget?", "usage_and_budgets.md"),
        ("How do I stop a reply?", "chat_cells.md"),
        ("How do I attach a dataframe?", "chat_cells.md"),
        ("How do I install nbagents?", "getting_started.md"),
    ],
)
def test_the_documentation_has_the_page_for_what_newcomers_ask(question, page):
    assert documentation().search(question)[0].passage.page.name == page
