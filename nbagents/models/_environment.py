"""What the SDK adds to requests by itself, from environment variables that are OpenAI's.

``OPENAI_ORG_ID``, ``OPENAI_PROJECT_ID`` and ``OPENAI_CUSTOM_HEADERS`` say who asks, and may hold
a credential. They are no business of another server, least of all of one that was merely found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nbagents._keys import Secret
from nbagents.models._secrets import revealed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["environment_headers", "without_environment"]


def environment_headers() -> dict[str, str]:
    """The headers in ``OPENAI_CUSTOM_HEADERS``: a ``name: value`` on each line."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def without_environment(
    client: AsyncOpenAI,
    organization: str | None,
    project: str | None,
    headers: Secret[Mapping[str, str]] | None,
) -> AsyncOpenAI:
    """Let an SDK client send only what it was given, and return it."""
    client.organization = organization
    client.project = project
    client._custom_headers = dict(revealed(headers) or {})
    return client
