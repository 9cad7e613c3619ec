"""The page with all the ways, written anew: ``python -m tests.faults.page``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nbagents.testing.faults import FAULTS, Fault, Outcome

__all__ = ["PAGE", "tables"]

PAGE = Path(__file__).parents[2] / "docs" / "misbehaviour.md"
_GROUPS = {
    "legal": "Legal, but unusual",
    "broken": "Broken",
    "status": "Statuses, bodies, redirects",
}


def tables() -> str:
    """A table for each group, as Markdown."""
    parts = []
    for group, title in _GROUPS.items():
        rows = "\n".join(map(_row, (each for each in FAULTS.values() if each.group == group)))
        head = "| name | what the server does | how it ends |\n| :--- | :--- | :--- |"
        parts.append(f"## {title}\n\n{head}\n{rows}\n")
    return "\n".join(parts)


def _row(fault: Fault) -> str:
    what = fault.what.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")
    return f"| `{fault.name}` | {what} | {'; '.join(_ending(fault))} |"


def _ending(fault: Fault) -> Iterator[str]:
    wanted = fault.wanted
    yield f"`{wanted.error}`" if wanted.error else _good(wanted)
    if wanted.error and wanted.text:
        yield "with what came"
    if wanted.retry_after is not None:
        yield f"come back in {wanted.retry_after:g} s"
    if wanted.retryable:
        yield "worth another try"
    if fault.retries:
        yield "after another try"
    if fault.deadline:
        yield f"after `Limits({fault.deadline}=...)`"


def _good(wanted: Outcome) -> str:
    if wanted.calls:
        return "function calls"
    reason = "" if wanted.finish_reason in ("stop", "content_filter") else wanted.finish_reason
    return f"{wanted.status} ({reason})" if reason else wanted.status


if __name__ == "__main__":
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(page[: page.index("## ")] + tables(), encoding="utf-8")
