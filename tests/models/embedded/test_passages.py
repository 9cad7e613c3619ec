from nbagents.models._embedded.passages import Page, Passage, cut_at_paragraph, passages_of

PAGE = """---
orphan: true
---
(start)=
# Connect to *Azure*

Read {doc}`the other page <connect_openai>` and [this one](usage.md#prices), then
[the web](https://example.org/).

```{toctree}
one
two
```

## With a key

:::{note}
Keys are secret.
:::

```{code-block} python
# not a heading
client = AzureOpenAIChatCompletionClient()
```

## Empty

### Below

Use {class}`~nbagents.models.ChatCompletionClient`, or <kbd>Tab</kbd>.
![a picture](picture.png)
"""


def passages():
    return passages_of(PAGE, "connect_azure.md")


def test_a_page_is_cut_at_its_headings_and_those_without_text_give_none():
    headings = [(passage.page.title, passage.heading) for passage in passages()]
    assert headings == [
        ("Connect to *Azure*", ""),
        ("Connect to *Azure*", "With a key"),
        ("Connect to *Azure*", "Below"),
    ]


def test_links_to_pages_become_their_text_and_links_to_the_web_stay():
    assert passages()[0].text == (
        "Read the other page and this one, then\n[the web](https://example.org/)."
    )


def test_boxes_keep_their_words_and_code_keeps_its_lines():
    assert passages()[1].text == (
        "Keys are secret.\n\n"
        "```python\n# not a heading\nclient = AzureOpenAIChatCompletionClient()\n```"
    )


def test_roles_keys_and_pictures_become_plain_markdown():
    assert passages()[2].text == "Use `nbagents.models.ChatCompletionClient`, or Tab."


def test_braces_in_a_code_span_are_no_role():
    line = "`{name}`, `{name.x}` and {kbd}`Tab`; `{price:.2f}`, {doc}`a page <x>`."
    assert [passage.text for passage in passages_of(f"# T\n{line}", "t.md")] == [
        "`{name}`, `{name.x}` and `Tab`; `{price:.2f}`, a page."
    ]


def test_a_page_without_a_title_is_called_by_its_file():
    assert passages_of("Words.", "getting_started.md") == [
        Passage(Page("getting started", "getting_started.md"), "", "Words.")
    ]


def test_what_a_directive_that_is_left_out_holds_is_left_out_too():
    nested = "# T\n````{figure} x.png\n```python\ncode\n```\n````\nWords."
    assert [passage.text for passage in passages_of(nested, "t.md")] == ["Words."]


def test_a_cut_falls_between_paragraphs_and_never_into_code():
    text = "First.\n\n```python\na\n\nb\n```\n\nLast."
    assert cut_at_paragraph(text, 30) == ("First.\n\n```python\na\n\nb\n```", True)
    assert cut_at_paragraph(text, 10) == ("First.", True)
    assert cut_at_paragraph(text, 100) == (text, False)
