"""Several texts below each other."""

from __future__ import annotations

from nbagents.rendering import Section, sections_bundle


def test_each_text_has_its_label_and_ends_where_the_next_begins() -> None:
    bundle = sections_bundle(
        [Section("ada", "```\nopen"), Section("bot", "- **Hi**")], header="above", footer="below"
    )
    assert bundle["text/plain"] == "above\n\nada:\n```\nopen\n\nbot:\n- **Hi**\n\nbelow"
    assert bundle["text/markdown"] == (
        "*above*\n\n*ada*\n\n> ```\n> open\n\n*bot*\n\n> - **Hi**\n\n*below*"
    )
    html = bundle["text/html"]
    assert html.count("<style>") == 1
    assert html.count('<div class="nbagents') == html.count("</div>") == 4
    assert '<p class="nb-note"><small><strong>bot</strong></small></p>\n\n<ul>' in html


def test_a_folded_text_is_behind_its_label() -> None:
    html = sections_bundle([Section("calls *f*", "`f()`", folded=True)])["text/html"]
    assert (
        "<details><summary>calls *f*</summary>\n<p><code>f()</code></p>\n</details>\n<br></div>"
        in html
    )


def test_no_text_and_no_label_can_do_anything() -> None:
    bad = "<script>alert(1)</script>\n\x1b[31m![x](http://evil.example/x.png)"
    bundle = sections_bundle([Section(bad, bad)], header=bad, footer=bad)
    assert "<script" not in bundle["text/html"] + bundle["text/markdown"]
    assert "<img" not in bundle["text/html"]
    assert "![" not in bundle["text/markdown"]
    assert "\x1b" not in "".join(bundle.values())


def test_long_sections_have_no_markdown_beside_the_text_itself():
    bundle = sections_bundle([Section("user", "x" * 200_000), Section("model", "y" * 200_000)])
    assert set(bundle) == {"text/html", "text/plain"}
