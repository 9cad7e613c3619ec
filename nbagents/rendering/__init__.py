"""From a model's Markdown to what a notebook may show: safe HTML, inert Markdown, plain text.

Pure functions of text, without IPython: whatever a model, a tool or a file says, no script
runs, nothing is fetched, and nothing outside of the message changes.
"""

from __future__ import annotations

from nbagents.rendering._blocks import Block, BlockStream
from nbagents.rendering._bundle import STATUS_WORDS, Section, block_html, reply_bundle
from nbagents.rendering._clean import clean, escape, plain
from nbagents.rendering._code import code_html
from nbagents.rendering._document import MAX_MARKDOWN
from nbagents.rendering._html import html_blocks, to_html
from nbagents.rendering._inert import inert_markdown
from nbagents.rendering._sections import sections_bundle
from nbagents.rendering._style import GROWING, STYLE

__all__ = [
    "GROWING",
    "MAX_MARKDOWN",
    "STATUS_WORDS",
    "STYLE",
    "Block",
    "BlockStream",
    "Section",
    "block_html",
    "clean",
    "code_html",
    "escape",
    "html_blocks",
    "inert_markdown",
    "plain",
    "reply_bundle",
    "sections_bundle",
    "to_html",
]
