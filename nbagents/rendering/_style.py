"""The style sheet of a reply: a constant, and the only style there is.

A `<style>` beside class names, rather than a style on each element, because coloured code would
be three times the bytes. Where a page drops it (an untrusted notebook in JupyterLab, GitHub) its
own style for headings, lists, tables and quotes applies, notes are small, and a line break parts
code from what follows; nbconvert and nbviewer colour code by Pygments' class names
(``highlight``, ``k``, ``s``, ...).

Colours are JupyterLab's variables; elsewhere the fallback stands, and VS Code and Colab say by a
class or an attribute that they are dark.
"""

from __future__ import annotations

import re

# Nested (in browsers since 2023) for the bytes; the class twice, to come before JupyterLab's own
# rules for what an output shows.
_READABLE = """
.nbagents.nbagents {
  --nb-line: var(--jp-border-color2, rgba(128,128,128,.35));
  --nb-soft: var(--jp-layout-color2, rgba(128,128,128,.14));
  --nb-quiet: var(--jp-ui-font-color2, #666);
  --nb-link: var(--jp-content-link-color, #0b57d0);
  --nb-k: var(--jp-mirror-editor-keyword-color, #008000);
  --nb-s: var(--jp-mirror-editor-string-color, #ba2121);
  --nb-c: var(--jp-mirror-editor-comment-color, #3a7575);
  --nb-m: var(--jp-mirror-editor-number-color, #080);
  --nb-o: var(--jp-mirror-editor-operator-color, #7800c2);
  --nb-f: var(--jp-mirror-editor-def-color, #00f);
  --nb-t: var(--jp-mirror-editor-tag-color, #170);
  .vscode-dark &, .vscode-high-contrast &, html[theme=dark] & {
    --nb-quiet: #9d9d9d; --nb-link: #6cb6ff; --nb-k: #c586c0; --nb-s: #ce9178; --nb-c: #6a9955;
    --nb-m: #b5cea8; --nb-o: #d4d4d4; --nb-f: #dcdcaa; --nb-t: #569cd6;
  }
  overflow: hidden; padding: .15em .4em 0; unicode-bidi: isolate; overflow-wrap: anywhere;
  line-height: 1.6; max-width: 60em;
  :is(p, li, td, th, h3, h4, h5, h6) { unicode-bidi: plaintext; text-align: start; }
  :is(p, ul, ol, blockquote, pre, .nb-wide, details) { margin: 0 0 .7em; }
  :is(ul, ol) { padding-inline-start: 1.7em; }
  li { margin: .15em 0; }
  li :is(ul, ol), li > :last-child { margin-bottom: .2em; }
  .nb-task { list-style: none; margin-inline-start: -1.35em; }
  :is(h3, h4, h5, h6) { margin: 1.1em 0 .45em; line-height: 1.3; font-weight: 600;
    font-size: 1em; }
  h3 { font-size: 1.3em; }
  h4 { font-size: 1.15em; }
  a { color: var(--nb-link); }
  code { font-family: var(--jp-code-font-family, monospace); font-size: .92em;
    background: var(--nb-soft); border-radius: 3px; padding: .1em .3em; unicode-bidi: isolate; }
  pre { background: var(--jp-cell-editor-background, rgba(128,128,128,.08));
    border: 1px solid var(--nb-line); border-radius: 4px; padding: .6em .8em; line-height: 1.4;
    overflow-x: auto; direction: ltr; text-align: left; }
  pre code { background: none; padding: 0; white-space: pre; overflow-wrap: normal; }
  .nb-wide { overflow-x: auto; }
  table { border-collapse: collapse; border: 0; margin: 0; font-size: .95em;
    overflow-wrap: normal; }
  :is(th, td) { border: 0; padding: .35em .8em; vertical-align: top; white-space: normal;
    max-width: 40em; }
  th { font-weight: 600; border-bottom: 2px solid var(--nb-line); }
  tbody tr { background: none; border-bottom: 1px solid var(--nb-line); }
  blockquote, details { border: 0 solid var(--nb-line); border-inline-start-width: 3px;
    padding: 0; padding-inline-start: 1em; color: var(--nb-quiet); }
  blockquote > :last-child { margin-bottom: 0; }
  hr { border: 0; border-top: 1px solid var(--nb-line); height: 0; margin: 1.2em 0; }
  .nb-note { color: var(--nb-quiet); font-size: .85em; margin: 0 0 .2em; }
  .nb-note small { font-size: 1em; }
  :is(pre, details) + br { display: none; }
  details { font-size: .93em; }
  summary { cursor: pointer; }
  details[open] summary { margin-bottom: .4em; }
  > :first-child { margin-top: 0; }
  .k { color: var(--nb-k); font-weight: 600; }
  .nb { color: var(--nb-k); }
  :is(.s, .gd) { color: var(--nb-s); }
  .c { color: var(--nb-c); font-style: italic; }
  :is(.m, .gi) { color: var(--nb-m); }
  :is(.o, .nd) { color: var(--nb-o); font-weight: normal; }
  :is(.nf, .nc) { color: var(--nb-f); }
  :is(.nt, .na) { color: var(--nb-t); }
  :is(.gh, .gp) { color: var(--nb-quiet); }
}
"""


def _minified(css: str) -> str:
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"(?<=[:;{}])\s+", "", css)).replace(";}", "}")


STYLE = f"<style>{_minified(_READABLE).strip()}</style>"
"""The style sheet as HTML; whoever shows several blocks sends it once."""

# JupyterLab has a margin below each output, and margins of two outputs do not become one.
_GROWING = """
.nbagents.nb-part.nb-part { margin-bottom: 0; }
.nbagents.nb-next.nb-next { padding-top: 0;
  > :is(h3, h4, h5, h6):first-child { margin-top: .5em; }
}
"""
GROWING = f"<style>{_minified(_GROWING).strip()}</style>"
"""What a reply needs beside `STYLE` while its blocks stand in several outputs: they are as far
apart as in one. The classes are ``nb-part``, and ``nb-part nb-next`` after the first block."""
