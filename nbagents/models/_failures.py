"""The errors of the SDK and of its HTTP library, as ours.

Each message is one line of at most 500 characters: what happened, then what to do next.
Credentials are masked, in the message and in the error it was made from: servers echo them.
"""

from __future__ import annotations

import copy
import email.utils
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from nbagents._keys import EnvironmentSecret, Mask, Secret, in_errors, mask_of, masked
from nbagents.errors import (
    AuthenticationError,
    BadRequestError,
    ContentFilterError,
    ModelNotFoundError,
    NbAgentsError,
    QuotaExceededError,
    RateLimitError,
    RequestError,
)
from nbagents.models._requests import is_loopback
from nbagents.models._scheme import wants_tls
from nbagents.models._scrubbing import scrub
from nbagents.models._secrets import credentials_in, secrets_in
from nbagents.models._unanswered import host_in, unanswered
from nbagents.models._wire.fastjson import JSONError, loads
from nbagents.models._wire.server_errors import (
    advice_for,
    error_described_by,
    error_in,
    message_in,
    one_line,
)

__all__ = ["Failures", "is_quota_exhausted", "request_id_in"]

_LONGEST = 500
_LONGEST_ID = 200
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_WAIT = re.compile(r"(?:try again|retry) (?:in|after) (\d+(?:\.\d+)?) ?(ms|s|m\b)?", re.IGNORECASE)


class Failures:
    """Turns what was raised below into our errors.

    Args:
        base_url: Where requests go, for hints.
        model: The model's (or deployment's) name, for hints.
        secrets: What no message may show.
        azure: Whether the server is Azure's.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        secrets: Sequence[Secret[str]] = (),
        *,
        azure: bool = False,
    ) -> None:
        self._base_url = base_url
        self._model = model
        self._secrets = secrets  # which may grow: tokens are fetched on the way
        self._azure = azure
        self._more: Sequence[Secret[str]] = ()

    def knowing(self, arguments: Mapping[str, Any]) -> Failures:
        """The same, for a request with these create arguments: there may be credentials in them."""
        more = [
            *credentials_in(arguments.get("extra_headers"), arguments.get("extra_query")),
            *secrets_in(arguments.get("extra_body")),
        ]
        if not more:
            return self
        other = copy.copy(self)
        other._more = more
        return other

    def of(
        self, error: Exception, *, reading: bool = False, outside: BaseException | None = None
    ) -> NbAgentsError:
        """The error to raise in place of ``error``, which is to be its cause.

        Args:
            error: What was raised; credentials in it are masked.
            reading: Whether the reply had begun.
            outside: What was being handled when the request was made.
        """
        ours = _ours_in(error)
        scrub(error, self._hider(), outside)
        if ours is not None:
            return ours
        if getattr(error, "status_code", None) is not None:
            failure: NbAgentsError = self._of_status(error)
        else:
            failure = unanswered(error, self._base_url, reading=reading)
        failure.args = (self.hide(one_line(str(failure), _LONGEST)),)
        return failure

    def complete(
        self,
        failure: RequestError,
        partial: str,
        request_id: str | None,
        outside: BaseException | None = None,
    ) -> None:
        """Give an error of the reply what only its reader knows, and mask it."""
        hide = self._hider()
        scrub(failure, hide, outside)
        failure.args = (hide(one_line(str(failure), _LONGEST)),)
        failure.partial = self._mask().hide(failure.partial or partial)
        failure.request_id = self._named(failure.request_id or request_id)

    def hide(self, text: str) -> str:
        """Mask credentials in ``text``: the client's own, and what looks like one."""
        return self._hider()(text)

    @property
    def credentials(self) -> tuple[Secret[str], ...]:
        """What no message may show."""
        return (*self._secrets, *self._more)

    @property
    def endpoint(self) -> str:
        """Where requests go."""
        return self._base_url

    @property
    def host(self) -> str:
        """The server's name, and its port where that is said."""
        return host_in(self._base_url)

    def _hider(self) -> Callable[[str], str]:
        mask = self._mask()
        return lambda text: masked(mask.hide(text))

    def _mask(self) -> Mask:
        """Of the client's own credentials."""
        return mask_of(self.credentials, in_errors)

    def _of_status(self, error: Any) -> RequestError:
        said, headers = _said_in(error.body), error.response.headers
        failure = error_described_by(
            said,
            status=error.status_code,
            request_id=self._named(request_id_in(headers)),
        )
        text = message_in(said if isinstance(said, dict) else {"message": said})
        advice = self._advice(failure, said) or advice_for(type(failure))
        if wants_tls(str(error.body)):
            advice = "Begin base_url with https://."
        if isinstance(failure, RateLimitError):
            failure.retry_after = _retry_after(headers, text)
            advice = _when(failure) or advice
        lead = f"{self.host} answered {error.status_code}: "
        room = _LONGEST - len(lead) - len(advice) - 1
        failure.args = (f"{lead}{one_line(self.hide(text), room)} {advice}".rstrip(),)
        return failure

    def _advice(self, failure: RequestError, said: Any) -> str:
        if isinstance(failure, AuthenticationError):
            return self._advice_on_key()
        if isinstance(failure, ModelNotFoundError):
            return self._advice_on_name(said)
        if isinstance(failure, ContentFilterError):
            found = ", ".join(_filtered_categories(said))
            return f"Filtered for: {found}. Word the prompt differently." if found else ""
        parameter = said.get("param") if isinstance(said, dict) else None
        if isinstance(failure, BadRequestError) and isinstance(parameter, str) and parameter:
            return f"Change or leave out the argument {one_line(parameter, 60)!r}."
        return ""

    def _advice_on_key(self) -> str:
        if self._azure:
            return (
                "Check that the key or token is of this resource, and that its identity has the "
                "role Cognitive Services OpenAI User."
            )
        key = next(iter(self._secrets), None)
        origin = f"in {key.variable}" if isinstance(key, EnvironmentSecret) else "given as api_key"
        return f"Check that the key {origin} is whole, of this server, and may use {self._model!r}."

    def _advice_on_name(self, said: Any) -> str:
        if self._azure:
            return (
                f"Check azure_deployment ({self._model!r} was asked for; a deployment's name need "
                "not be the model's), azure_endpoint and api_version."
            )
        code = said.get("code") if isinstance(said, dict) else None
        if code == "model_not_found" or "model" in str(said).lower():
            pull = f" For Ollama: ollama pull {self._model}." if is_loopback(self._base_url) else ""
            return f"Check the name {self._model!r}, and that the account may use it.{pull}"
        return f"Check base_url ({self._base_url}); most servers' end in /v1."

    def _named(self, request_id: str | None) -> str | None:
        return request_id and one_line(self.hide(request_id), _LONGEST_ID)


def request_id_in(headers: Mapping[str, str]) -> str | None:
    """The server's name for a request: OpenAI's header, or Azure's."""
    return headers.get("x-request-id") or headers.get("apim-request-id")


def is_quota_exhausted(body: bytes) -> bool:
    """Whether the body of a 429 says that nothing is left to spend, so that waiting is idle."""
    try:
        said = error_in(loads(body))
    except JSONError:
        return False
    return isinstance(error_described_by(said, status=429), QuotaExceededError)


def _page_title(text: str) -> str:
    """What to call a web page that came instead of an answer; "" when it is none."""
    start = text.lstrip()[:200].lower()
    if not start.startswith(("<!doctype html", "<html", "<head")):
        return ""
    title = _TITLE.search(text[:20_000])
    name = one_line(title.group(1), 80) if title else ""
    return f"a web page ({name!r})" if name else "a web page"


def _said_in(body: object) -> Any:
    """What the body of an error says, as `error_described_by` takes it."""
    if isinstance(body, str):
        page = _page_title(body)
        return f"{page} instead of an error" if page else body or "nothing further"
    return error_in(body) or body or "nothing further"


def _retry_after(headers: Mapping[str, str], text: str) -> float | None:
    """The seconds to wait that the headers, else the message, ask for."""
    seconds = _seconds_in(headers, text)
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _seconds_in(headers: Mapping[str, str], text: str) -> float | None:
    for name, divisor in (("retry-after-ms", 1000), ("retry-after", 1)):
        with suppress(KeyError, ValueError):
            seconds = float(headers[name]) / divisor
            return seconds if math.isnan(seconds) else max(0.0, seconds)
    with suppress(ValueError, OverflowError):
        date = email.utils.parsedate_tz(headers.get("retry-after", ""))
        if date is not None:
            return max(0.0, round(email.utils.mktime_tz(date) - time.time(), 1))
    match = _WAIT.search(text)
    if match is None:
        return None
    return float(match.group(1)) * {"ms": 0.001, "m": 60.0}.get(match.group(2) or "s", 1.0)


def _when(failure: RateLimitError) -> str:
    if failure.retry_after is None or isinstance(failure, QuotaExceededError):
        return ""
    return f"Run it again in {failure.retry_after:g} s."


def _filtered_categories(said: Any) -> Iterator[str]:
    """The categories that Azure's filter found something in."""
    inner = said.get("innererror") if isinstance(said, dict) else None
    found = inner.get("content_filter_result") if isinstance(inner, dict) else None
    for category, verdict in found.items() if isinstance(found, dict) else ():
        if isinstance(verdict, dict) and (verdict.get("filtered") or verdict.get("detected")):
            yield one_line(str(category), 40)


def _ours_in(error: BaseException | None) -> NbAgentsError | None:
    """An error of ours that came from within the SDK: some of its versions wrap it."""
    while error is not None and not isinstance(error, NbAgentsError):
        error = error.__cause__
    return error
