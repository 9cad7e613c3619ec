"""What the SDK's clients take from environment variables, and when.

By themselves they read a key once. And they add to requests what ``OPENAI_ORG_ID``,
``OPENAI_PROJECT_ID`` and ``OPENAI_CUSTOM_HEADERS`` say of who asks, which may hold a credential and
is no business of another server than OpenAI's, least of all of one that was merely found.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from nbagents._keys import Secret
from nbagents.models._secrets import revealed

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["asking_for", "environment_headers", "with_own_headers"]

Client = TypeVar("Client", bound="AsyncOpenAI")


def environment_headers() -> dict[str, str]:
    """The headers in ``OPENAI_CUSTOM_HEADERS``: a ``name: value`` on each line."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, colon, value in pairs if colon}


def asking_for(key: Secret[str], kind: type[Client]) -> type[Client]:
    """The SDK's client as one that asks for the key with each request: it may be set anew."""
    return _changed(kind, api_key=property(lambda _: key.current(), lambda *_: None))


def with_own_headers(headers: Secret[Mapping[str, str]] | None, kind: type[Client]) -> type[Client]:
    """The SDK's client as one that sends these headers, and none of the environment."""
    foreign = environment_headers().keys() - (revealed(headers) or {}).keys()

    def default_headers(client: Client) -> dict[str, Any]:
        sent = super(changed, client).default_headers
        return {name: value for name, value in sent.items() if name not in foreign}

    changed = _changed(kind, default_headers=property(default_headers))
    return changed


def _changed(kind: type[Client], **members: Any) -> type[Client]:
    # Of the same name: it tells the server which client this is.
    return cast("type[Client]", type(kind.__name__, (kind,), members))
