"""The pytest plugin and cassettes: notebooks by nbval, and plain tests."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from nbagents.models._cassette.lines import Record
from nbagents.testing import LoopbackServer
from tests.testing.recorded import CELLS, connected

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.kernel


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_recorded_notebook_passes_as_it_was_saved(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    saved = (project / "tour.ipynb").read_text(encoding="utf-8")
    assert re.search(r" · \d+\.\d s", saved)
    before = {name: os.environ.get(name) for name in ("NBAGENTS_CASSETTE", "NBAGENTS_MODE")}
    run("-W", "error::pytest.PytestWarning").assert_outcomes(passed=len(CELLS))
    assert before == {name: os.environ.get(name) for name in before}


def test_what_a_request_took_is_shown_without_what_varies(project: Path) -> None:
    *_, usage, ledger, _ = nbformat.read(project / "tour.ipynb", as_version=4).cells
    for cell in (usage, ledger):
        shown = cell.outputs[0]["data"]["text/html"]
        assert "prompt_tokens" in shown
        assert re.findall(r"<th>(cell|time|seconds|time_to_first_token)</th>", shown) == []


def test_an_edited_reply_fails(project: Path, run: Callable[..., pytest.RunResult]) -> None:
    _edit(project / "cassettes" / "tour.jsonl", "Seven", "Eight")
    result = run()
    result.assert_outcomes(passed=len(CELLS) - 1, failed=1)
    result.stdout.fnmatch_lines(["*Cell outputs differ*"])


def test_a_changed_prompt_fails_with_the_difference_and_the_remedy(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    _edit(project / "tour.ipynb", "Say a number.", "Say a big number.")
    result = run()
    result.assert_outcomes(passed=len(CELLS) - 3, failed=3)  # of the usage too
    result.stdout.fnmatch_lines(
        ["*CassetteMissError*", "*-user: Say a number.*", "*+user: Say a big number.*"]
    )
    result.stdout.fnmatch_lines(["*--nbagents-record*"])


def test_a_removed_cassette_fails_and_is_recorded_again_on_demand(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    cassette = project / "cassettes" / "tour.jsonl"
    cassette.unlink()
    with LoopbackServer() as server:
        removed = run(**connected(server))
        assert server.requests == []
        recording = run("--nbagents-record", **connected(server))
        assert len([each for each in server.requests if each.body]) == 2
    removed.assert_outcomes(passed=2, failed=4)
    removed.stdout.fnmatch_lines(["*tour.jsonl does not exist*"])
    recording.assert_outcomes(passed=len(CELLS))
    recording.stdout.fnmatch_lines(
        [
            "*= nbagents =*",
            "notebooks/cassettes/tour.jsonl: 'Say a number.'",
            "notebooks/cassettes/tour.jsonl: 'Say a letter.'",
            "2 replies recorded · * tokens in, * out · $0.00*",
        ]
    )
    assert cassette.exists()


def test_without_its_cassette_a_notebook_fails_though_nothing_is_compared(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    (project / "cassettes" / "tour.jsonl").unlink()
    notebook = nbformat.read(project / "tour.ipynb", as_version=4)
    notebook.cells = notebook.cells[:2]
    for cell in notebook.cells:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(notebook, project / "tour.ipynb")
    run().assert_outcomes(passed=2)  # it may never have had one: the embedded model replies
    strict = run("--nbagents-strict")
    _edit(project / "tour.ipynb", "%load_ext nbagents", "%load_ext nbagents\\n%cassette tour.jsonl")
    for result in (strict, run()):
        result.assert_outcomes(passed=1, failed=1)
        result.stdout.fnmatch_lines(["*CassetteMissError*tour.jsonl does not exist*"])


def test_a_recording_that_nothing_asks_for_is_a_warning_and_a_failure_when_strict(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    cassette = project / "cassettes" / "tour.jsonl"
    lines = cassette.read_text(encoding="utf-8").splitlines(keepends=True)
    first = next(n for n, line in enumerate(lines) if line.startswith('{"request"'))
    extra = "".join(lines[first : first + 4]).replace("Say a number.", "Say nothing.")
    extra = re.sub(r', "crc": "\w+"', "", extra)
    cassette.write_text("".join(lines) + extra, encoding="utf-8")
    lax = run()
    lax.assert_outcomes(passed=len(CELLS), warnings=1)
    lax.stdout.fnmatch_lines([f"*tour.jsonl, line {len(lines) + 1}: 'Say nothing.'*"])
    strict = run("--nbagents-strict")
    strict.assert_outcomes(passed=len(CELLS), errors=1)


def test_plain_tests_have_a_client_that_says_what_it_is_told(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import asyncio
        from nbagents import ChatAgent

        def test_it(chat_client):
            client = chat_client("Hello", "Bye")
            agent = ChatAgent(client, name="tutor")
            assert asyncio.run(agent.ask("Hi")).text == "Hello"
            assert asyncio.run(agent.ask("Ciao")).text == "Bye"
            assert client.calls[1]["messages"][-1].content == "Ciao"
        """
    )
    pytester.runpytest("-p", "no:asyncio").assert_outcomes(passed=1)


def test_plain_tests_replay_a_cassette_of_their_own(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytester.makepyfile(
        test_talk="""
        import asyncio
        import pytest
        from nbagents.models import OpenAIChatCompletionClient, UserMessage

        @pytest.mark.parametrize("word", ["a", "b/c"])
        def test_it(cassette, word):
            client = OpenAIChatCompletionClient(model="gpt-4.1-mini")
            asked = [UserMessage(content=f"Say {word}", source="me")]
            assert asyncio.run(client.create(asked)).text == "Done."
        """
    )

    def outcome(*options: str) -> Any:
        return pytester.runpytest("-p", "no:asyncio", *options)

    with LoopbackServer() as server:
        for name, value in connected(server).items():
            monkeypatch.setenv(name, value)
        outcome().assert_outcomes(failed=2)
        assert server.requests == []
        server.will_reply("Done.", "Done.")
        recording = outcome("--nbagents-record")
        recording.assert_outcomes(passed=2)
        recording.stdout.fnmatch_lines(["2 replies recorded · *"])
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    outcome("--nbagents-strict").assert_outcomes(passed=2)
    files = sorted(path.name for path in (module.parent / "cassettes/test_talk").iterdir())
    assert files == ["test_it-a.jsonl", "test_it-b-c.jsonl"]


def test_a_record_that_was_changed_by_hand_is_a_warning_and_a_failure_when_strict(
    project: Path, run: Callable[..., pytest.RunResult]
) -> None:
    cassette = project / "cassettes" / "tour.jsonl"
    _edit(cassette, '"latency": ', '"latency": 1')
    lax = run()
    lax.assert_outcomes(passed=len(CELLS), warnings=1)
    lax.stdout.fnmatch_lines(["*DamagedFileWarning: Line [0-9]* of the cassette *delete its*"])
    strict = run("--nbagents-strict")
    strict.assert_outcomes(passed=len(CELLS), errors=1)


def test_what_is_recorded_is_named_in_words_when_it_has_parts() -> None:
    parts = [
        {"type": "text", "text": "What is in it?"},
        {"type": "image_url", "image_url": {"url": "sha256:0"}},
        {"type": "text", "text": "df: 3 rows"},
    ]
    record = Record({"messages": [{"role": "user", "content": parts}]}, (), "result", {})
    assert record.prompt == "What is in it? [image] df: 3 rows"
