"""The estimate of tokens is corrected by what servers report."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nbagents.messages import Image, LLMMessage, RequestUsage, UserMessage
from nbagents.models import OpenAIChatCompletionClient
from nbagents.models._calibration import Calibration, calibration
from nbagents.models._estimate import estimate_tokens
from tests.support import HELLO, Server, answer, completion, event, stream

PROMPT: list[LLMMessage] = [
    UserMessage(content="Tell me of the river and the sea. " * 40, source="ada")
]
ESTIMATE = estimate_tokens(PROMPT)


@pytest.fixture(autouse=True)
def _forgetful() -> Iterator[None]:
    calibration.clear()
    yield
    calibration.clear()


def learned_from(*reported: int, prompt: list[LLMMessage] = PROMPT) -> Calibration:
    made = Calibration()
    for tokens in reported:
        made.learn(prompt, RequestUsage(tokens, 1), model="m")
    return made


def test_nothing_is_corrected_before_something_is_learned() -> None:
    assert Calibration().tokens(PROMPT, model="m") == ESTIMATE


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.0, 1.3, 1.9])
def test_it_comes_close_to_what_is_reported(factor: float) -> None:
    reported = round(factor * ESTIMATE)
    made = learned_from(*[reported] * 30)
    assert made.tokens(PROMPT, model="m") == pytest.approx(reported, rel=0.03)
    assert made.tokens(PROMPT, model="another") == ESTIMATE


@pytest.mark.parametrize("reported", [0, 7, ESTIMATE // 3, 3 * ESTIMATE, 10**9])
def test_a_report_that_cannot_be_of_this_prompt_teaches_nothing(reported: int) -> None:
    assert learned_from(*[reported] * 30).ratio("m") == 1.0


@pytest.mark.parametrize(
    "content", ["short", "x " * 30_000, ["Look: " * 100, Image.from_bytes(b"GIF89a")]]
)
def test_short_and_long_prompts_and_images_teach_nothing(content: str | list[str | Image]) -> None:
    prompt: list[LLMMessage] = [UserMessage(content=content, source="ada")]
    made = learned_from(round(1.5 * estimate_tokens(prompt)), prompt=prompt)
    assert made.ratio("m") == 1.0


def test_an_estimate_teaches_nothing() -> None:
    made = Calibration()
    made.learn(PROMPT, RequestUsage(2 * ESTIMATE, 1, estimated=True), model="m")
    assert made.ratio("m") == 1.0


def test_after_thirty_prompts_it_has_learned_enough() -> None:
    made = learned_from(*[ESTIMATE] * 30, *[2 * ESTIMATE] * 100)
    assert made.ratio("m") == 1.0


def test_threads_may_learn_at_once() -> None:
    made = Calibration()

    def learn() -> None:
        for _ in range(5):
            made.learn(PROMPT, RequestUsage(2 * ESTIMATE, 1), model="m")

    threads = [threading.Thread(target=learn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made.ratio("m") == learned_from(*[2 * ESTIMATE] * 30).ratio("m")


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_client_learns_from_its_server(streamed: bool) -> None:
    usage = {"prompt_tokens": round(1.5 * ESTIMATE), "completion_tokens": 3}
    said = stream(*HELLO[:-2], event(choices=[], usage=usage), HELLO[-1])
    whole = answer(200, completion() | {"usage": usage})
    with Server(said if streamed else whole) as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", base_url=server.base_url, api_key="none"
        )
        before = client.count_tokens(PROMPT), client.remaining_tokens(PROMPT)
        if streamed:
            async for _ in client.create_stream(PROMPT):
                pass
        else:
            await client.create(PROMPT)
        after = client.count_tokens(PROMPT), client.remaining_tokens(PROMPT)
        await client.close()
    assert before[0] == ESTIMATE < after[0] <= usage["prompt_tokens"]
    assert before[1] - after[1] == after[0] - before[0]
