"""Records as a tidy DataFrame: the same columns and dtypes whatever is unknown."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from nbagents.usage._records import UsageRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

__all__ = ["frame_of"]

_DTYPES = {
    "time": "datetime64[ns, UTC]",
    "cell": "Int64",
    "source": "category",
    "model": "category",
    "prompt_tokens": "Int64",
    "cached_tokens": "Int64",
    "completion_tokens": "Int64",
    "reasoning_tokens": "Int64",
    "cost": "Float64",
    "seconds": "Float64",
    "time_to_first_token": "Float64",
    "finish_reason": "category",
    "status": "category",
    "estimated": "boolean",
}


def frame_of(records: Sequence[UsageRecord]) -> pd.DataFrame:
    """Return one row a record, one column a field."""
    import pandas as pd

    columns = {}
    for field in fields(UsageRecord):
        values: Any = [getattr(record, field.name) for record in records]
        columns[field.name] = pd.Series(values, dtype=_DTYPES[field.name])
    return pd.DataFrame(columns)
