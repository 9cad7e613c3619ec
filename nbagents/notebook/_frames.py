"""What the magics return: DataFrames that read well also where there is little in them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar, cast

import pandas as pd

from nbagents._mode import is_final

__all__ = ["listing", "must_not_vary"]

_WIDEST = 120  # characters of a text that a cell of a table shows


def listing(frame: pd.DataFrame, none: str, *, hidden: Sequence[str] = ()) -> pd.DataFrame:
    """Return the frame as one that shows a text in one line and what is not known as nothing.

    What is computed from it is an ordinary frame again.

    Args:
        frame: The rows.
        none: The line that is shown where there are none.
        hidden: Columns that it has and does not show.
    """
    shown = _Listing(frame)
    shown.none = none
    shown.hidden = tuple(hidden)
    return shown


def must_not_vary() -> bool:
    """Whether what is shown is compared with what another run shows.

    So it is where a cassette is in, too.
    """
    recorded = os.environ.get("NBAGENTS_CASSETTE") and os.environ.get("NBAGENTS_MODE") != "live"
    return is_final() or bool(recorded)


def _in_one_line(value: Any) -> Any:
    return " ".join(value.split()) if isinstance(value, str) else value


class _Listing(pd.DataFrame):
    none: str
    hidden: tuple[str, ...]
    _metadata: ClassVar[list[str]] = ["none", "hidden"]  # what pandas shall not take for a column

    def _with_blanks(self) -> pd.DataFrame:
        blanks = pd.DataFrame(self.astype(object).where(self.notna(), ""))
        return blanks.drop(columns=list(self.hidden)).map(_in_one_line)

    def __repr__(self) -> str:
        if not len(self):
            return self.none
        # A narrow terminal shows the columns in blocks rather than not all of them.
        with pd.option_context("display.max_columns", None):
            return repr(self._with_blanks())

    def _repr_html_(self) -> str:
        if not len(self):
            return f"<p>{escape(self.none)}</p>"
        # Dollar signs in what was said are no formulas: JupyterLab's typesetter shall pass by.
        with pd.option_context("display.max_colwidth", _WIDEST):
            table = cast("Any", self._with_blanks())._repr_html_()
        return f'<div class="mathjax_ignore tex2jax_ignore">{table}</div>'
