"""What a server turned out not to take, and is asked without from then on."""

from __future__ import annotations

from typing import Any

from nbagents._warnings import warn
from nbagents.errors import BadRequestError

__all__ = ["Concessions"]


class Concessions:
    """Changes requests as a server's refusals demand; one for each client.

    Some servers refuse ``stream_options``. Since GPT-5.4, OpenAI's Chat Completions takes tools of
    a model that reasons only with ``reasoning_effort="none"``, and of some (GPT-6.1 Sol) not at
    all: there the Responses API is needed, which is not spoken here.
    """

    def __init__(self) -> None:
        self._refuses_stream_options = False
        self._calls_without_reasoning: set[str] = set()

    def apply(self, arguments: dict[str, Any]) -> None:
        """Change a request by what is known already."""
        if self._refuses_stream_options:
            arguments.pop("stream_options", None)
        if "tools" in arguments and arguments["model"] in self._calls_without_reasoning:
            arguments.setdefault("reasoning_effort", "none")

    def learn(self, arguments: dict[str, Any], error: BadRequestError) -> bool:
        """Change a request that was refused; return whether to send it again.

        Raises:
            BadRequestError: Nothing can be changed so that the model would take it.
        """
        said = f"{error} {getattr(error.__cause__, 'body', '')}"
        if "stream_options" in arguments and _names(said, "stream_options", "include_usage"):
            self._refuses_stream_options = True
            del arguments["stream_options"]
            return True
        if "tools" in arguments and "reasoning_effort" in said:
            return self._call_without_reasoning(arguments, error)
        return False

    def _call_without_reasoning(self, arguments: dict[str, Any], error: BadRequestError) -> bool:
        model = arguments["model"]
        if arguments.get("reasoning_effort") == "none":
            raise BadRequestError(
                f"{model} calls functions only over OpenAI's Responses API, and nbagents speaks "
                "Chat Completions; take another model, such as gpt-6-sol or gpt-4.1, or no tools.",
                status=error.status,
                request_id=error.request_id,
            ) from error
        if "reasoning_effort" in arguments:  # what the caller chose is not changed
            return False
        self._calls_without_reasoning.add(model)
        arguments["reasoning_effort"] = "none"
        warn(
            f"{model} takes tools over Chat Completions only without reasoning; "
            'reasoning_effort="none" is sent with them.',
            UserWarning,
        )
        return True


def _names(said: str, *names: str) -> bool:
    return any(name in said for name in names)
