"""What the magics return: DataFrames that read well also where there is little in them."""

from __future__ import annotations

from html import escape
from typing import Any, ClassVar, cast

import pandas as pd

__all__ = ["listing"]


def listing(frame: pd.DataFrame, none: str) -> pd.DataFrame:
    """Return the frame as one that shows what is not known as nothing.

    What is computed from it is an ordinary frame again.

    Args:
        frame: The rows.
        none: The line that is shown where there are none.
    """
    shown = _Listing(frame)
    shown.none = none
    return shown


class _Listing(pd.DataFrame):
    none: str
    _metadata: ClassVar[list[str]] = ["none"]  # what pandas shall not take for a column

    def _with_blanks(self) -> pd.DataFrame:
        return pd.DataFrame(self.astype(object).where(self.notna(), ""))

    def __repr__(self) -> str:
        return repr(self._with_blanks()) if len(self) else self.none

    def _repr_html_(self) -> str:
        if not len(self):
            return f"<p>{escape(self.none)}</p>"
        return str(cast("Any", self._with_blanks())._repr_html_())
