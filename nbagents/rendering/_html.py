"""Tokens to HTML. Safe by construction: every tag and attribute is written out below."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Literal, TypeAlias

from nbagents.rendering._code import code_html
from nbagents.rendering._document import Document, read
from nbagents.rendering._links import is_safe_address, split_addresses
from nbagents.rendering._math import is_safe_tex, without_labels

if TYPE_CHECKING:
    from markdown_it.token import Token

Math: TypeAlias = Literal["tex", "mathml"]

# Headings are two levels down: a reply lives inside of a page that has its own.
_SIMPLE = {
    "paragraph_open": "<p>",
    "paragraph_close": "</p>\n",
    "blockquote_open": "<blockquote>\n",
    "blockquote_close": "</blockquote>\n",
    "bullet_list_open": "\n<ul>\n",
    "bullet_list_close": "</ul>\n",
    "ordered_list_close": "</ol>\n",
    "list_item_open": "<li>",
    "list_item_close": "</li>\n",
    "table_open": '<div class="nb-wide"><table>\n',
    "table_close": "</table></div>\n",
    "thead_open": "<thead>",
    "thead_close": "</thead>\n",
    "tbody_open": "<tbody>",
    "tbody_close": "</tbody>\n",
    "tr_open": "<tr>",
    "tr_close": "</tr>\n",
    "th_close": "</th>",
    "td_close": "</td>",
    "hr": "<hr>\n",
    "em_open": "<em>",
    "em_close": "</em>",
    "strong_open": "<strong>",
    "strong_close": "</strong>",
    "s_open": "<del>",
    "s_close": "</del>",
    "softbreak": "\n",
    "hardbreak": "<br>\n",
}
_ALIGNED = {f"text-align:{side}": side for side in ("left", "center", "right")}
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
_TASK = re.compile(r"\[([ xX])\]\s")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def to_html(markdown: str | Document, *, math: Math = "tex") -> str:
    """A whole reply as safe HTML, without the wrapper that `reply_bundle` puts around it.

    HTML in the text is shown as text, an image as a link, an address that is not absolute
    http, https or mailto as text. What is too long to be set is shown as it was written.

    Args:
        markdown: The reply.
        math: How formulas are left: as TeX for the page's typesetter, or as MathML, which
            browsers set without one.
    """
    return "".join(html_blocks(markdown, math=math))


def html_blocks(markdown: str | Document, *, math: Math = "tex") -> list[str]:
    """The HTML of `to_html`, cut between the outermost blocks."""
    document = read(markdown) if isinstance(markdown, str) else markdown
    if document.tokens is None:
        return [code_html(document.text)]
    writer = _Writer(len(document.text), math)
    blocks = [writer.blocks(tokens) for tokens in document.outermost()]
    return [block for block in blocks if block]


class _Writer:
    """Writes the tokens of one text; knows how much may still go into addresses."""

    def __init__(self, size: int, math: Math) -> None:
        self._math = math
        # one long reference used a thousand times must not make a page of megabytes
        self._address_budget = 100_000 + 3 * size
        self._parts: list[str] = []
        self._link_depth = 0
        self._open_links: list[bool] = []

    def blocks(self, tokens: list[Token]) -> str:
        self._parts = []
        tight_item = False
        for token in tokens:
            if token.type == "inline":
                self._inline(token.children or [], task=tight_item)
            elif not token.hidden:
                self._block(token)
            tight_item = token.type == "list_item_open" or (tight_item and token.hidden)
        return _CONTROL.sub("", "".join(self._parts))

    def _block(self, token: Token) -> None:
        kind = token.type
        if kind == "tr_close":
            self._drop_empty_cells()
        if kind in _SIMPLE:
            self._parts.append(_SIMPLE[kind])
        elif kind in ("heading_open", "heading_close"):
            slash = "/" if token.nesting < 0 else ""
            self._parts.append(f"<{slash}{_HEADINGS[token.tag]}>" + ("\n" if slash else ""))
        elif kind == "ordered_list_open":
            self._parts.append(_ordered_list(token))
        elif kind in ("th_open", "td_open"):
            self._parts.append(_cell(token))
        elif kind in ("fence", "code_block"):
            self._parts.append(code_html(token.content, (token.info.split() or [""])[0]))
        elif kind == "math_block":
            self._parts.append(f"<p>{_formula(token, self._math)}</p>\n")

    def _drop_empty_cells(self) -> None:
        # a thousand columns and rows of one cell would be a million elements
        while self._parts[-1] == "</td>" and self._parts[-2].startswith("<td"):
            del self._parts[-2:]

    def _inline(self, tokens: list[Token], *, task: bool = False) -> None:
        self._link_depth, self._open_links = 0, []
        if task and tokens and tokens[0].type == "text":
            self._task(tokens[0])
        for token in tokens:
            self._inline_token(token)

    def _task(self, token: Token) -> None:
        """``[x] done``, with a sign instead of a form's element."""
        match = _TASK.match(token.content)
        if match:
            token.content = token.content[match.end() :]
            done = match.group(1) != " "
            self._parts[-1] = '<li class="nb-task">' + ("☑ " if done else "☐ ")

    def _inline_token(self, token: Token) -> None:
        kind = token.type
        if kind in _SIMPLE:
            self._parts.append(_SIMPLE[kind])
        elif kind == "text":
            self._text(token.content)
        elif kind == "code_inline":
            self._parts.append(f"<code>{html.escape(token.content)}</code>")
        elif kind in ("math_inline", "math_display"):
            self._parts.append(_formula(token, self._math))
        elif kind == "link_open":
            self._open_link(str(token.attrs.get("href", "")))
        elif kind == "link_close":
            self._close_link()
        elif kind == "image":
            self._image(token)
        else:
            self._parts.append(html.escape(token.content))

    def _text(self, text: str) -> None:
        if "://" not in text or self._link_depth:
            self._parts.append(html.escape(text))
            return
        for piece, is_address in split_addresses(text):
            if is_address and self._open_link(piece):
                self._parts.append(html.escape(piece))
                self._close_link()
            else:
                self._parts.append(html.escape(piece))

    def _open_link(self, address: str) -> bool:
        self._address_budget -= len(address)
        opened = is_safe_address(address) and not self._link_depth and self._address_budget > 0
        self._open_links.append(opened)
        if opened:
            self._link_depth += 1
            href = html.escape(address)
            self._parts.append(f'<a href="{href}" rel="noopener noreferrer" target="_blank">')
        return opened

    def _close_link(self) -> None:
        if self._open_links and self._open_links.pop():
            self._link_depth -= 1
            self._parts.append("</a>")

    def _image(self, token: Token) -> None:
        """An image is not loaded: its address could carry out what the reply knows."""
        address = str(token.attrs.get("src", ""))
        self._open_link(address)
        self._parts.append(html.escape(_alt_text(token) or "image"))
        self._close_link()
        shown = address if len(address) <= 80 else address[:79] + "…"
        self._parts.append(f" <small>({html.escape(shown)})</small>")


def _alt_text(token: Token) -> str:
    return " ".join(child.content or _alt_text(child) for child in token.children or []).strip()


def _ordered_list(token: Token) -> str:
    start = token.attrs.get("start", 1)
    return "<ol>\n" if start == 1 else f'<ol start="{int(start)}">\n'


def _cell(token: Token) -> str:
    tag = token.type.removesuffix("_open")
    side = _ALIGNED.get(str(token.attrs.get("style", "")))
    return f'<{tag} style="text-align:{side}">' if side else f"<{tag}>"


def _formula(token: Token, math: Math) -> str:
    """TeX for the page's typesetter, or MathML; what may not or cannot be set, as code."""
    display = token.type != "math_inline"
    tex = token.content
    if is_safe_tex(tex):
        if math == "tex":
            return _marked_tex(without_labels(tex), display)
        from nbagents.rendering._mathml import mathml

        if set_ := mathml(without_labels(tex), display=display):
            return set_
    return f"<code>{html.escape(tex.strip())}</code>"


def _marked_tex(tex: str, display: bool) -> str:
    """TeX in the class into which alone the page's typesetter looks."""
    tex = html.escape(tex)
    opening, closing = ("$$", "$$") if display else ("$", "$")
    if "$" in tex:
        opening, closing = (r"\[", r"\]") if display else (r"\(", r"\)")
    return f'<span class="mathjax_process tex2jax_process">{opening}{tex}{closing}</span>'
