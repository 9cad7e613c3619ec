"""What requests took and cost: records, the ledger that keeps them, budgets.

Nothing here knows clients; `nbagents.models` writes the records.
"""

from nbagents.usage._budget import ASSUMED_REPLY_TOKENS, Budget, Reservation
from nbagents.usage._ledger import UsageLedger, ledger
from nbagents.usage._limits import budgets, reserve, set_budget, within
from nbagents.usage._records import Status, UsageRecord
from nbagents.usage._whereabouts import (
    Whereabouts,
    attribute,
    in_no_cell,
    set_whereabouts,
    whereabouts,
)

__all__ = [
    "ASSUMED_REPLY_TOKENS",
    "Budget",
    "Reservation",
    "Status",
    "UsageLedger",
    "UsageRecord",
    "Whereabouts",
    "attribute",
    "budgets",
    "in_no_cell",
    "ledger",
    "reserve",
    "set_budget",
    "set_whereabouts",
    "whereabouts",
    "within",
]
