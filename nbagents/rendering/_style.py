"""The style sheet of a reply: a constant, and the only style there is.

A `<style>` beside class names, rather than a style on each element, because coloured code would
be three times the bytes. Where a page drops it (an untrusted notebook in JupyterLab, GitHub) its
own style for headings, lists, tables and quotes applies, and nbconvert and nbviewer colour code
by Pygments' class names (``highlight``, ``k``, ``s``, ...).

Colours are JupyterLab's variables; elsewhere the fallback stands, and VS Code and Colab say by a
class or an attribute that they are dark.
"""

from __future__ import annotations

import re

_READABLE = """
.nbagents {
  --nb-line: var(--jp-border-color2, rgba(128,128,128,.35));
  --nb-soft: var(--jp-layout-color2, rgba(128,128,128,.12));
  --nb-quiet: var(--jp-ui-font-color2, #6a6a6a);
  --nb-k: var(--jp-mirror-editor-keyword-color, #008000);
  --nb-s: var(--jp-mirror-editor-string-color, #ba2121);
  --nb-c: var(--jp-mirror-editor-comment-color, #3a7575);
  --nb-m: var(--jp-mirror-editor-number-color, #080);
  --nb-o: var(--jp-mirror-editor-operator-color, #7800c2);
  --nb-f: var(--jp-mirror-editor-def-color, #00f);
  --nb-t: var(--jp-mirror-editor-tag-color, #170);
  overflow: hidden; unicode-bidi: isolate; overflow-wrap: anywhere;
  line-height: 1.6; max-width: 60em;
}
.vscode-dark .nbagents, .vscode-high-contrast .nbagents, html[theme=dark] .nbagents {
  --nb-quiet: #9d9d9d; --nb-k: #c586c0; --nb-s: #ce9178; --nb-c: #6a9955; --nb-m: #b5cea8;
  --nb-o: #d4d4d4; --nb-f: #dcdcaa; --nb-t: #569cd6;
}
.nbagents > :first-child { margin-top: 0; }
.nbagents :is(p, li, td, th, h3, h4, h5, h6) { unicode-bidi: plaintext; text-align: start; }
.nbagents :is(p, ul, ol, blockquote, pre, .nb-wide, details) { margin: 0 0 .7em; }
.nbagents :is(ul, ol) { padding-inline-start: 1.7em; }
.nbagents li { margin: .15em 0; }
.nbagents li :is(ul, ol), .nbagents li > :last-child { margin-bottom: .2em; }
.nbagents :is(h3, h4, h5, h6) { margin: 1.1em 0 .45em; line-height: 1.3; font-weight: 600; }
.nbagents h3 { font-size: 1.3em; }
.nbagents h4 { font-size: 1.15em; }
.nbagents :is(h5, h6) { font-size: 1em; }
.nbagents code { font-family: var(--jp-code-font-family, monospace); font-size: .92em;
  background: var(--nb-soft); border-radius: 3px; padding: .1em .3em; unicode-bidi: isolate; }
.nbagents pre { background: var(--jp-cell-editor-background, rgba(128,128,128,.08));
  border: 1px solid var(--nb-line); border-radius: 4px; padding: .6em .8em; line-height: 1.4;
  overflow-x: auto; direction: ltr; text-align: left; max-width: 100%; }
.nbagents pre code { background: none; padding: 0; white-space: pre; overflow-wrap: normal; }
.nbagents .nb-wide { overflow-x: auto; max-width: 100%; }
.nbagents table { border-collapse: collapse; border: 0; margin: 0; font-size: .95em;
  table-layout: auto; overflow-wrap: normal; }
.nbagents :is(th, td) { border: 0; padding: .35em .8em; vertical-align: top; white-space: normal;
  max-width: 40em; }
.nbagents th { font-weight: 600; border-bottom: 2px solid var(--nb-line); }
.nbagents tbody tr { background: none; border-bottom: 1px solid var(--nb-line); }
.nbagents blockquote { border-inline-start: 3px solid var(--nb-line); padding: 0 0 0 1em;
  padding-inline: 1em 0; color: var(--nb-quiet); }
.nbagents hr { border: 0; border-top: 1px solid var(--nb-line); height: 0; margin: 1.2em 0; }
.nbagents .nb-task { list-style: none; margin-inline-start: -1.35em; }
.nbagents a { color: var(--jp-content-link-color, var(--vscode-textLink-foreground, #0b57d0)); }
.nbagents .mathjax_process { overflow-x: auto; overflow-y: hidden; max-width: 100%; }
.nbagents .nb-note { color: var(--nb-quiet); font-size: .85em; margin: 0 0 .2em; }
.nbagents .nb-mark { font-style: italic; }
.nbagents details { color: var(--nb-quiet); border-inline-start: 3px solid var(--nb-line);
  padding-inline-start: .8em; font-size: .93em; }
.nbagents summary { cursor: pointer; margin-bottom: .3em; }
.nbagents .k { color: var(--nb-k); font-weight: 600; }
.nbagents .s { color: var(--nb-s); }
.nbagents .c { color: var(--nb-c); font-style: italic; }
.nbagents .m { color: var(--nb-m); }
.nbagents :is(.o, .nd) { color: var(--nb-o); font-weight: normal; }
.nbagents :is(.nf, .nc) { color: var(--nb-f); }
.nbagents .nb { color: var(--nb-k); }
.nbagents :is(.nt, .na) { color: var(--nb-t); }
.nbagents .gd { color: var(--nb-s); }
.nbagents .gi { color: var(--nb-m); }
.nbagents :is(.gh, .gp) { color: var(--nb-quiet); }
"""


def _minified(css: str) -> str:
    return re.sub(r"\s*([{};,>])\s*", r"\1", re.sub(r"(?<=[:;{}])\s+", "", css)).replace(";}", "}")


STYLE = f"<style>{_minified(_READABLE).strip()}</style>"
"""The style sheet as HTML; whoever shows several blocks sends it once."""
