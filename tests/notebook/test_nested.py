"""``asyncio.run()`` in cells: allowed where it does no harm, else refused with the reason."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Iterator
from typing import Any

import ipykernel
import pytest

from nbagents.errors import ConfigurationError
from nbagents.notebook._nested import ORIGINAL_LOSES_CELLS, choose_patch
from nbagents.testing import LoopbackServer, text
from tests.notebook.kernels import Kernel
from tests.support import Server, silence

RUN = "asyncio.run(asyncio.sleep(0.3, 'ran'))"

SETUP = """
%load_ext nbagents
import asyncio, nbagents, sys
from nbagents.models import OpenAIChatCompletionClient, UserMessage
client = OpenAIChatCompletionClient(model="gpt-4o", max_retries=0)
messages = [UserMessage(content="Hello?", source="user")]
"""


def choose(**installed: Any) -> str:
    nothing: dict[str, Any] = {
        "python": (3, 11), "ipykernel": (), "original": (), "successor": (), "applied": ""
    }  # fmt: skip
    return choose_patch(**(nothing | installed))


class TestChoice:
    @pytest.mark.parametrize("python", [(3, 11), (3, 14)])
    @pytest.mark.parametrize("ipykernel", [(), (6, 31, 0), (7, 0, 1), (7, 3, 0), (8, 0, 0)])
    def test_the_successor_is_taken_wherever_it_is_installed(
        self, python: tuple[int, ...], ipykernel: tuple[int, ...]
    ) -> None:
        assert (
            choose(python=python, ipykernel=ipykernel, original=(1, 6, 0), successor=(1, 7, 3))
            == "nest_asyncio2"
        )

    @pytest.mark.parametrize("successor", [(), (1, 7, 2)])
    @pytest.mark.parametrize("ipykernel", [(), (6, 31, 0), (7, 0, 1)])
    def test_the_original_serves_older_kernels_and_scripts(
        self, ipykernel: tuple[int, ...], successor: tuple[int, ...]
    ) -> None:
        assert (
            choose(ipykernel=ipykernel, original=(1, 6, 0), successor=successor) == "nest_asyncio"
        )

    @pytest.mark.parametrize(
        ("installed", "reason"),
        [
            ({}, "Nothing that nests"),
            ({"successor": (1, 7, 2)}, "Nothing that nests"),
            ({"original": (1, 6, 0), "ipykernel": (7, 1, 0)}, "lose the cells"),
            ({"successor": (1, 7, 2), "ipykernel": (7, 3, 0)}, "With ipykernel 7.3.0"),
            ({"original": (1, 6, 0), "python": (3, 14)}, "breaks every request"),
        ],
    )
    def test_what_does_harm_is_refused_with_the_reason_and_the_way_out(
        self, installed: dict[str, Any], reason: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=reason) as caught:
            choose(**installed)
        assert '%pip install "nest-asyncio2>=1.7.3"' in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_patch_that_is_applied_already_stays_the_one_in_use(self) -> None:
        both = {"original": (1, 6, 0), "successor": (1, 7, 4)}
        assert choose(**both, applied="nest_asyncio2") == "nest_asyncio2"
        assert choose(**both, ipykernel=(6, 31, 0), applied="nest_asyncio") == "nest_asyncio"
        with pytest.raises(ConfigurationError, match="before anything else patches asyncio"):
            choose(**both, ipykernel=(7, 3, 0), applied="nest_asyncio")


def run_all(kernel: Kernel, *cells: str, patience: float = 30) -> list[str]:
    """Send all cells at once; what each printed, or ``lost`` after so many seconds."""
    requests = [kernel.start(cell) for cell in cells]
    printed = []
    for request in requests:
        try:
            printed.append(
                kernel.wait(request, timeout=patience if "lost" not in printed else 0.1).text
            )
        except queue.Empty:
            printed.append("lost")
    return printed


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        running.will_always_reply(text("Hello back."))
        yield running


@pytest.fixture
def bare(server: LoopbackServer) -> Iterator[Kernel]:
    with Kernel(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-of-the-test") as running:
        assert running.run(SETUP).status == "ok"
        yield running


@pytest.fixture(scope="module")
def kernel(server: LoopbackServer) -> Iterator[Kernel]:
    with Kernel(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-of-the-test") as running:
        assert running.run(SETUP).status == "ok"
        assert running.run("nbagents.allow_nested_asyncio()").outputs == []
        yield running


@pytest.mark.kernel
class TestInAKernel:
    def test_without_it_asyncio_refuses_as_it_does(self, bare: Kernel) -> None:
        assert bare.run(RUN).reply["ename"] == "RuntimeError"
        assert bare.run("print('_nest_patched' in vars(asyncio))").text == "False\n"

    def test_with_it_no_cell_that_waits_is_lost(self, kernel: Kernel) -> None:
        for _ in range(3):
            cells = [f"print({RUN})", *(f"print({number})" for number in range(4))]
            assert run_all(kernel, *cells) == ["ran\n", "0\n", "1\n", "2\n", "3\n"]

    def test_a_second_call_does_nothing(self, kernel: Kernel) -> None:
        assert kernel.run("nbagents.allow_nested_asyncio()").outputs == []
        assert kernel.run(f"print({RUN})").text == "ran\n"

    def test_requests_work_nested_awaited_and_on_the_private_loop(self, kernel: Kernel) -> None:
        for call in (
            "asyncio.run(client.create(messages))",
            "await client.create(messages)",
            "nbagents.run(client.create(messages))",
        ):
            assert kernel.run(f"print(({call}).content)").text == "Hello back.\n"
        (reply,) = kernel.run("%%chat -m gpt-4o\nHello?").outputs
        assert "Hello back." in reply["data"]["text/plain"]

    def test_an_interrupt_ends_a_nested_request(self, kernel: Kernel) -> None:
        with Server(silence()) as silent:
            request = kernel.start(
                f"other = OpenAIChatCompletionClient(base_url={silent.base_url!r}, model='m')\n"
                "asyncio.run(other.create(messages))"
            )
            while not silent.requests:
                time.sleep(0.002)
            kernel.interrupt()
            assert kernel.wait(request).status == "error"
            assert silent.requests[0].gone.wait(30)
        assert kernel.run(f"print({RUN})").text == "ran\n"

    def test_what_would_lose_cells_does_and_is_refused(self, bare: Kernel) -> None:
        pytest.importorskip("nest_asyncio")
        allowed = ipykernel.version_info[:2] < ORIGINAL_LOSES_CELLS and sys.version_info < (3, 14)
        bare.run("import nest_asyncio; nest_asyncio.apply()")
        asked = bare.run("nbagents.allow_nested_asyncio()")
        assert (asked.status == "ok") == allowed
        if allowed:
            assert run_all(bare, RUN, "print('kept')") == ["", "kept\n"]
        else:
            assert "nest-asyncio2" in asked.reply["traceback"][0]
            if sys.version_info < (3, 14):
                assert run_all(bare, RUN, "print('kept')", patience=4)[1] == "lost"
