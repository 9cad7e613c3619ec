"""Highlighted code, in Pygments' class names, which nbconvert and nbviewer colour by themselves."""

from __future__ import annotations

import html
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from nbagents.rendering._clean import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pygments.lexer import Lexer

MAX_CODE = 30_000
"""Characters that are highlighted; longer code is shown plain."""

# A lexer is a pile of regular expressions, and Pygments has some five hundred of them. These
# are what models write, and stay linear on what they did not expect.
_LANGUAGES = frozenset(
    """
    bash bat c c++ cpp c# cs csharp css console diff docker dockerfile elixir erlang go golang
    graphql haskell html http ini java javascript js json json5 jsx julia kotlin latex lua make
    makefile matlab nginx objective-c ocaml octave perl php powershell protobuf py py3 pycon
    python python3 pytb r rb rs ruby rust scala scss sh shell shell-session sql swift tex toml
    ts tsx typescript vb xml yaml yml zig zsh
    """.split()  # noqa: SIM905 - a table of words
)


def code_html(code: str, language: str = "") -> str:
    """A code block as ``<pre>``, highlighted where the language is known."""
    code, language = clean(code).rstrip("\n"), language.strip().lower()
    known = language in _LANGUAGES and len(code) <= MAX_CODE
    body = _cached(code, language) if known else html.escape(code, quote=False)
    return f'<pre class="highlight"><code>{body}</code></pre>\n'


@lru_cache(maxsize=64)
def _cached(code: str, language: str) -> str:
    # rules that match a line want its end
    return _highlighted(f"{code}\n", _lexer(language))


@cache
def _lexer(language: str) -> Lexer:
    from pygments.lexers import get_lexer_by_name

    alias = {"jsx": "javascript", "tsx": "typescript"}.get(language, language)
    return get_lexer_by_name(alias, stripnl=False, ensurenl=False)


def _highlighted(code: str, lexer: Lexer) -> str:
    parts = []
    for name, text in _merged(_named(lexer.get_tokens(code))):
        escaped = html.escape(text, quote=False)
        parts.append(f'<span class="{name}">{escaped}</span>' if name else escaped)
    return "".join(parts)


def _named(tokens: Iterable[tuple[object, str]]) -> Iterator[tuple[str, str]]:
    for kind, text in tokens:
        yield ("" if text in _PLAIN_MARKS else _class_name(kind)), text


# one span for each dot, bracket and "=" would double the bytes for a shade nobody sees
_PLAIN_MARKS = frozenset(".,:;()[]{}=")


def _merged(tokens: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Neighbours of one class as one piece; white space joins what stands before it."""
    current, texts = "", list[str]()
    for name, text in tokens:
        if name != current and not text.isspace():
            if texts:
                yield current, "".join(texts)
            current, texts = name, []
        texts.append(text)
    if texts:
        yield current, "".join(texts)


@cache
def _class_name(kind: object) -> str:
    """The short class of a token type's nearest ancestor that has a colour here."""
    from pygments.token import STANDARD_TYPES, _TokenType

    while isinstance(kind, _TokenType):
        name = STANDARD_TYPES.get(kind, "")
        if name in _CLASSES:
            return _CLASSES[name]
        kind = kind.parent
    return ""


# Pygments' short names that have a colour in the style sheet, and what they are shown as
_CLASSES = {name: name for name in ("c", "k", "o", "s", "m", "nb", "nf", "nc", "nd", "nt", "na")}
_CLASSES |= {name: name for name in ("gd", "gi", "gh", "gp")}
_CLASSES |= {"kc": "k", "ow": "k", "bp": "nb", "fm": "nf", "gu": "gh", "go": ""}
