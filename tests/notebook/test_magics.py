"""Chat cells in a real kernel, against a real server on loopback."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from nbagents.testing import LoopbackServer, error, text
from tests.notebook.kernels import Cell, Kernel

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer() as running:
        yield running


@pytest.fixture(scope="module")
def kernel(server: LoopbackServer) -> Iterator[Kernel]:
    with Kernel(OPENAI_BASE_URL=server.base_url, OPENAI_API_KEY="sk-of-the-test") as running:
        assert running.run("%load_ext nbagents").status == "ok"
        yield running


@pytest.fixture(autouse=True)
def fresh(kernel: Kernel, server: LoopbackServer) -> None:
    kernel.run("get_ipython().magics_manager.registry['ChatMagics'].conversations.start_over()")
    server.forget()


def _sent(server: LoopbackServer) -> list[Any]:
    return [request.json() for request in server.requests if request.body]


def _only_output(cell: Cell) -> dict[str, str]:
    (output,) = cell.outputs
    return output["data"]


def test_a_reply_is_left_as_one_static_output(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply(text("**Four**, of course."))
    cell = kernel.run("%%chat -m gpt-4o\nWhat is 2 + 2?")
    data = _only_output(cell)
    assert set(data) == {"text/html", "text/markdown", "text/plain"}
    assert "<strong>Four</strong>" in data["text/html"]
    assert data["text/plain"].startswith("**Four**, of course.\n\n")
    assert _sent(server)[0]["messages"] == [
        {"role": "user", "name": "user", "content": "What is 2 + 2?"}
    ]


def test_the_conversation_goes_on_and_fresh_starts_over(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("One.", "Two.", "Three.")
    kernel.run("%%chat\nCount.")
    kernel.run("%chat Go on.")
    kernel.run("%%chat --fresh -s 'Be brief.'\nCount again.")
    contents = [[m["content"] for m in request["messages"]] for request in _sent(server)]
    assert contents == [
        ["Count."],
        ["Count.", "One.", "Go on."],
        ["Be brief.", "Count again."],
    ]
    history = kernel.run("print(get_ipython().run_line_magic('chat_history', '').content.tolist())")
    assert history.text == "['Count again.', 'Three.']\n"


def test_no_escape_sequence_reaches_a_terminal_by_the_history_or_an_error(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("a\x1b[2J\x1b]0;title\x07b")
    kernel.run("%%chat --fresh\nhi")
    history = kernel.run("print(get_ipython().run_line_magic('chat_history', ''))")
    assert history.text.endswith(" ab\n")
    kernel.run(
        "class Broken:\n    @property\n    def it(self): raise OSError('c\\x1b[2Jd\\x9b')\n"
        "broken = Broken()"
    )
    (error,) = kernel.run("%%chat\nhi {broken.it}").outputs
    assert error["text"] == (
        "ConfigurationError: Reading broken.it raised OSError: c[2Jd; nothing was sent."
    )


def test_options_become_arguments_of_the_request(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("%%chat -m gpt-4o -t 0.5 --max-tokens 20\nHi")
    sent = _sent(server)[0]
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("gpt-4o", 0.5, 20)
    server.will_reply("ok")
    kernel.run("%%chat -m gpt-5 --max-tokens 20\nHi")
    assert _sent(server)[1]["max_completion_tokens"] == 20


def test_variables_are_filled_in_and_said(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("city = 'Ulm'")
    cell = kernel.run("%%chat\nWeather in {city}? Not {this}, not `{city}`, not $x_{city}$.")
    assert _sent(server)[0]["messages"][-1]["content"] == (
        "Weather in Ulm? Not {this}, not `{city}`, not $x_{city}$."
    )
    plain = _only_output(cell)["text/plain"]
    assert "filled in: city = Ulm" in plain
    assert "left as written, for there is no such variable: {this}" in plain
    server.will_reply("ok")
    kernel.run("import datetime; day = datetime.date(2025, 1, 2)")
    plain = _only_output(kernel.run("%%chat\n{day:%d.%m.%Y}, {len(city)} {city.nope}"))[
        "text/plain"
    ]
    assert _sent(server)[1]["messages"][-1]["content"] == "02.01.2025, {len(city)} {city.nope}"
    assert "filled in: day = 02.01.2025\n" in plain
    assert "left as written, for city has no attribute nope: {city.nope}\n" in plain
    assert "left as written, for nothing is computed in a prompt: {len(city)}\n" in plain
    server.will_reply("ok")
    kernel.run("%%chat --raw\nWeather in {city}?")
    assert _sent(server)[2]["messages"][-1]["content"] == "Weather in {city}?"


def test_objects_are_attached_and_said(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("import pandas as pd; df = pd.DataFrame({'a': [1, 2], 'b': ['x', 'y']})")
    cell = kernel.run("%%chat --with df\nWhat is this?")
    content = json.dumps(_sent(server)[0]["messages"])
    assert "int64" in content
    assert "df: pandas DataFrame, 2 rows x 2 columns" in _only_output(cell)["text/plain"]


def test_the_result_is_bound_and_is_the_last_result(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("Yes.")
    kernel.run("%%chat -o answer\nReally?")
    assert kernel.run("print(type(answer).__name__, answer, _ is answer)").text == (
        "CreateResult Yes. True\n"
    )


def test_a_line_can_be_assigned_and_nothing_is_shown_twice(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("Yes.", "Yes.", "Yes.")
    for code in ("reply = %chat Really?", "reply = %chat Really?\nreply", "%chat Really?"):
        assert _only_output(kernel.run(code))["text/plain"].startswith("Yes.")
    assert _only_output(kernel.run("reply"))["text/plain"].startswith("Yes.")
    assert kernel.run("print(type(reply).__name__, reply)").text == "CreateResult Yes.\n"


def test_a_schema_gives_an_object(kernel: Kernel, server: LoopbackServer) -> None:
    kernel.run("import pydantic\nclass City(pydantic.BaseModel):\n    name: str\n    people: int")
    server.will_reply('{"name": "Ulm", "people": 129000}')
    cell = kernel.run("%%chat -m gpt-4o --schema City -o ulm\nUlm?")
    assert kernel.run("print(repr(ulm))").text == "City(name='Ulm', people=129000)\n"
    assert _sent(server)[0]["response_format"]["type"] == "json_schema"
    assert '"people": 129000' in _only_output(cell)["text/plain"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("--format text", "**plain** `x`"),
        ("--format code", "print(1)"),
        ("-m gpt-4o --format json", '{\n  "answer": 4\n}'),
        ("--no-stream", "<strong>plain</strong>"),
    ],
)
def test_a_reply_is_shown_in_the_form_asked_for(
    kernel: Kernel, server: LoopbackServer, options: str, expected: str
) -> None:
    replies = {"code": "```python\nprint(1)\n```", "json": '{"answer": 4}'}
    server.will_reply(replies.get(options.split()[-1], "**plain** `x`"))
    data = _only_output(kernel.run(f"%%chat {options}\nHi"))
    shown = data["text/html"] if "no-stream" in options else data["text/plain"]
    assert expected in shown


def test_a_named_client_and_a_named_agent_have_their_own_memory(
    kernel: Kernel, server: LoopbackServer
) -> None:
    kernel.run(
        "from nbagents import ChatAgent\n"
        "from nbagents.models import OpenAIChatCompletionClient\n"
        f"client = OpenAIChatCompletionClient(model='gpt-4o', base_url={server.base_url!r},"
        " api_key='x')\n"
        "tutor = ChatAgent(client, name='tutor', system_message='Ask back.')"
    )
    server.will_reply("1", "2", "3")
    kernel.run("%%chat tutor\nHi, tutor.")
    kernel.run("%%chat client\nHi, client.")
    kernel.run("%%chat tutor\nAgain.")
    contents = [[m["content"] for m in request["messages"]] for request in _sent(server)]
    assert contents == [
        ["Ask back.", "Hi, tutor."],
        ["Hi, client."],
        ["Ask back.", "Hi, tutor.", "1", "Again."],
    ]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        ("%%chat nobody\nHi", "There is no variable 'nobody'"),
        ("%%chat --tempature 1\nHi", "did you mean --temperature"),
        ("%%chat --api-key sk-1234567890abcdef1234\nHi", "does not belong on a magic line"),
        ("%%chat --with nothing\nHi", "nothing"),
        ("%%chat\n   ", "The prompt is empty"),
        ("%%chat --schema json\nHi", "--schema takes a pydantic model"),
    ],
)
def test_a_mistake_is_one_readable_line_and_the_cell_has_failed(
    kernel: Kernel, cell: str, words: str
) -> None:
    kernel.run("import json")
    done = kernel.run(cell)
    assert done.status == "error"
    (problem,) = done.of("error")
    (line,) = problem["traceback"]
    assert words in line
    assert "\n" not in line


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("%%chat gardner\nHi", "There is no variable 'gardner' to talk to; did you mean gardener?"),
        (
            "%chat_panel gardner",
            "There is no variable 'gardner' to talk to; did you mean gardener?",
        ),
        (
            "%chat_history nobody",
            "There is no variable 'nobody' to talk to. Make an agent: %%chat nobody --new, or "
            "nobody = ChatAgent(client).",
        ),
        ("%chat_history --fresh", "There is no option --fresh; %chat_history takes the name of"),
        ("%chat_panel gardener x", "'x' is out of place: %chat_panel takes the name of"),
        ("%usage --all", "'--all' is out of place: %usage takes nothing. nbagents.ledger"),
        ("%agents x", "'x' is out of place: %agents takes nothing."),
    ],
)
def test_what_a_line_may_not_hold_is_told(kernel: Kernel, line: str, problem: str) -> None:
    kernel.run("from nbagents import ChatAgent; from nbagents.models import *")
    kernel.run("gardener = ChatAgent(ReplayChatCompletionClient([])); gardeners = 1")
    (said,) = kernel.run(line).of("error")
    assert said["evalue"].startswith(problem)
    assert ("below %%chat" in said["evalue"]) == line.startswith("%%chat")


def test_a_failed_request_is_one_line_and_leaves_the_conversation(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("One.", error(401, "Incorrect API key provided: sk-of-the-test"), "Two.")
    kernel.run("%%chat\nfirst")
    failed = kernel.run("%%chat\nsecond")
    assert failed.status == "error"
    (problem,) = failed.of("error")
    assert len(problem["traceback"]) == 1
    assert "AuthenticationError" in problem["traceback"][0]
    assert "sk-of-the-test" not in json.dumps(problem)
    kernel.run("%%chat\nthird")
    contents = [m["content"] for m in _sent(server)[-1]["messages"]]
    assert contents == ["first", "One.", "third"]


def test_what_lies_behind_an_error_is_shown_on_demand(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply(error(400, "no such thing: sk-of-the-test"))
    kernel.run("%%chat\nHi")
    shown = json.dumps(kernel.run("%tb").outputs)
    assert "The above exception was the direct cause" in shown
    assert "openai.BadRequestError" in shown
    assert "_magics.py" in shown
    assert "sk-of-the-test" not in shown


def test_an_interrupt_keeps_the_text_and_leaves_the_conversation_as_it_was(
    kernel: Kernel, server: LoopbackServer
) -> None:
    endless = text("lorem " * 2_000, pace=0.005)
    server.will_reply("One.", *[endless] * 20, "Two.")
    kernel.run("import nbagents; nbagents.ledger.clear()")
    kernel.run("%%chat -m gpt-4o\nfirst")
    for number in range(20):
        request = kernel.start("%%chat -m gpt-4o\nsecond")
        kernel.wait_for_output(request, text="lorem lorem")
        for _ in range(3 if number % 2 else 1):
            kernel.interrupt()
        cell = kernel.wait(request)
        assert cell.status == "error"
        (line,) = cell.reply["traceback"]
        assert len(line) <= 300
        shown = str(cell.outputs)
        assert "lorem lorem" in shown
        assert "interrupted" in shown
        assert server.requests[-1].wait()
        assert server.requests[-1].left is not None
    assert kernel.run("%%chat -m gpt-4o\nthird").status == "ok"
    assert [m["content"] for m in _sent(server)[-1]["messages"]] == ["first", "One.", "third"]
    rows = kernel.run("for r in nbagents.ledger.records: print(r.status, r.estimated)").text
    assert rows.split("\n")[1:-2] == ["cancelled True"] * 20


def test_run_all_stops_at_a_failed_cell(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply(error(400, "no"), "never")
    first = kernel.start("%%chat\nfirst")
    second = kernel.start("%%chat\nsecond")
    assert kernel.wait(first).status == "error"
    assert kernel.wait(second).status == "aborted"


def test_queued_cells_run_one_after_the_other(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply(text("slow and steady", pace=0.05), "fast")
    ids = [kernel.start("%%chat\nfirst"), kernel.start("%%chat\nsecond"), kernel.start("print(3)")]
    cells = [kernel.wait(request) for request in ids]
    assert [cell.status for cell in cells] == ["ok"] * 3
    assert "slow and steady" in _only_output(cells[0])["text/plain"]
    assert "fast" in _only_output(cells[1])["text/plain"]
    assert cells[2].text == "3\n"


def test_it_works_below_other_magics(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("timed", "captured", "called")
    timed = kernel.run("%%time\n%chat Hi")
    assert any("timed" in str(output) for output in timed.outputs)
    assert "Wall time" in timed.text
    assert kernel.run("%%capture kept\n%chat Hi").outputs == []
    assert "captured" in kernel.run("print(kept.outputs[0].data['text/plain'])").text
    called = kernel.run("get_ipython().run_cell_magic('chat', '', 'Hi')")
    assert "called" in _only_output(called)["text/plain"]


def test_it_works_with_autoawait_off(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("%autoawait False")
    try:
        assert "ok" in _only_output(kernel.run("%%chat\nHi"))["text/plain"]
    finally:
        kernel.run("%autoawait True")


def test_usage_is_a_frame_with_a_row_a_request(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("import nbagents; nbagents.ledger.clear()")
    kernel.run("%%chat -m gpt-4o\nHi")
    shown = kernel.run(
        "frame = %usage\n"
        "row = frame.iloc[0]\n"
        "print(len(frame), row.source, row.status, row.cost > 0, row.cell > 0)"
    )
    assert shown.text == "1 chat complete True True\n"


def test_a_panels_requests_are_its_agents_and_no_cells(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("ok", "ok")
    kernel.run("import nbagents; nbagents.ledger.clear()")
    kernel.run("%%chat tutor --new -m gpt-4o\nHi")
    kernel.run("panel = tutor.panel(); panel.send('Hi'); panel.wait(); panel.close()")
    shown = kernel.run("frame = %usage\nprint(*frame.source, *frame.cell.isna())")
    assert shown.text == "tutor tutor False True\n"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("ask", "<ChatAgent.ask(...) has not begun: put await before it, or call ask_sync(...)>"),
        ("clear", "<ChatAgent.clear(...) has not begun: put await before it>"),
    ],
)
def test_a_call_that_is_not_awaited_says_what_is_missing(
    kernel: Kernel, code: str, shown: str
) -> None:
    kernel.run("from nbagents import ChatAgent\nfrom nbagents.models import default_client")
    argument = "'Hi'" if code == "ask" else ""
    cell = kernel.run(f"forgotten = ChatAgent(default_client()).{code}({argument})\nforgotten")
    assert cell.of("execute_result")[0]["data"] == {"text/plain": shown}
    kernel.run("import asyncio, types\ntask = asyncio.create_task(forgotten); task.cancel()")
    assert kernel.run("print(type(forgotten) is types.CoroutineType)").text == "True\n"


def test_a_coroutine_of_the_users_own_is_shown_as_ever(kernel: Kernel) -> None:
    kernel.run("async def own(): ...")
    cell = kernel.run("mine = own()\nmine")
    assert cell.of("execute_result")[0]["data"]["text/plain"].startswith("<coroutine object own")
    kernel.run("await mine")


def test_usage_shows_what_fits_and_the_ledger_has_the_rest(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("ok")
    kernel.run("import nbagents; nbagents.ledger.clear()")
    assert kernel.run("%usage").of("execute_result")[0]["data"] == {
        "text/html": "<p>No requests yet.</p>",
        "text/plain": "No requests yet.",
    }
    kernel.run("%%chat -m gpt-4o\nHi")
    shown = kernel.run("%usage").of("execute_result")[0]["data"]["text/html"]
    assert re.findall("<th>([a-z_]+)</th>", shown) == [
        *("cell", "source", "model", "prompt_tokens", "completion_tokens"),
        *("cost", "seconds", "status"),
    ]
    wider = kernel.run("frame = %usage\nprint({*nbagents.ledger.to_frame()} - {*frame})").text
    assert "time_to_first_token" in wider


def test_a_history_shows_what_was_said_in_one_line_and_keeps_it_as_it_was(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("one\n\n* two")
    kernel.run("%%chat -m gpt-4o\nHi")
    cell = kernel.run("history = %chat_history\nprint(repr(history.content[1]))\nhistory")
    assert cell.text == "'one\\n\\n* two'\n"
    shown = cell.of("execute_result")[0]["data"]
    assert all("one * two" in form for form in shown.values())


def test_an_empty_history_says_so(kernel: Kernel) -> None:
    shown = kernel.run("%chat_history").of("execute_result")[0]["data"]
    assert shown["text/plain"] == "Nothing has been said yet."
    assert kernel.run("print(len(get_ipython().run_line_magic('chat_history', '')))").text == "0\n"


def test_a_line_that_begins_with_an_agent_is_for_that_agent(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("One.", "Two.")
    kernel.run("%%chat lined --new -s 'Be lined.'\nHi")
    assert kernel.run("%chat lined And now?").status == "ok"
    contents = [message["content"] for message in _sent(server)[1]["messages"]]
    assert contents == ["Be lined.", "Hi", "One.", "And now?"]
    empty = kernel.run("%chat lined").of("error")[0]["traceback"][0]
    assert "The prompt is empty" in empty
    assert "behind %chat" in empty


def test_a_budget_refuses_before_anything_is_sent(kernel: Kernel, server: LoopbackServer) -> None:
    refused = kernel.run("%%chat -m gpt-4o --budget 0.000001\nHi")
    assert refused.status == "error"
    assert "would overspend the cell's budget" in refused.of("error")[0]["traceback"][0]
    kernel.run("%config ChatMagics.budget = 0.000001")
    try:
        refused = kernel.run("%%chat -m gpt-4o\nHi")
        assert "the notebook's budget" in refused.of("error")[0]["traceback"][0]
    finally:
        kernel.run("%config ChatMagics.budget = None")
    assert _sent(server) == []
    server.will_reply("ok")
    assert kernel.run("%%chat -m gpt-4o\nHi").status == "ok"


def test_settings_hold_for_every_cell(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run("%config ChatMagics.model = 'gpt-4o-mini'")
    try:
        kernel.run("%%chat\nHi")
    finally:
        kernel.run("%config ChatMagics.model = ''")
    assert _sent(server)[0]["model"] == "gpt-4o-mini"
    assert "ChatMagics.budget=<Float>" in kernel.run("%config ChatMagics").text


def test_await_works_in_cells_too(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("awaited", "streamed")
    kernel.run(
        "from nbagents.models import OpenAIChatCompletionClient, UserMessage\n"
        f"c = OpenAIChatCompletionClient(model='gpt-4o', base_url={server.base_url!r}, api_key='x')"
    )
    ask = "[UserMessage(content='Hi', source='user')]"
    assert kernel.run(f"print((await c.create({ask})).content)").text == "awaited\n"
    loop = f"async for chunk in c.create_stream({ask}):\n    print(str(chunk))"
    assert "streamed" in kernel.run(loop).text


def test_loading_twice_is_once_and_unloading_takes_everything_away() -> None:
    with Kernel() as kernel:
        count = "print(sum(type(c).__name__ == 'ChatMagics' for c in get_ipython().configurables))"
        kernel.run("%load_ext nbagents")
        kernel.run("import nbagents; nbagents.load_ipython_extension(get_ipython())")
        assert kernel.run(count).text == "1\n"
        kernel.run("%unload_ext nbagents")
        assert kernel.run(count).text == "0\n"
        assert "not found" in kernel.run("%%chat\nHi").text
        assert kernel.run("%load_ext nbagents\n%chat What is nbagents?").status == "ok"


def test_help_explains_the_options(kernel: Kernel) -> None:
    help_text = kernel.run("%%chat?").reply["payload"][0]["data"]["text/plain"]
    assert "--max-tokens" in help_text
    assert "--max-tokens" in _only_output(kernel.run("%chat --help"))["text/plain"]


def test_a_model_nobody_knows_is_a_quiet_line_once(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("one", "two")
    first = kernel.run("%%chat -m gpt-99-turbo\nHi")
    assert first.text == ""
    assert "'gpt-99-turbo' is not a model known here" in _only_output(first)["text/plain"]
    again = kernel.run("%%chat -m gpt-99-turbo\nHi")
    assert "known here" not in _only_output(again)["text/plain"]


def test_the_notebooks_conversation_is_bounded(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_always_reply("ok")
    kernel.run("%config ChatMagics.buffer_size = 4")
    try:
        for _ in range(5):
            kernel.run("%chat Again.")
    finally:
        kernel.run("%config ChatMagics.buffer_size = 40")
        server.will_always_reply(None)
    assert [len(request["messages"]) for request in _sent(server)] == [1, 3, 4, 4, 4]


def test_live_and_final_leave_the_same_but_for_the_seconds(
    kernel: Kernel, server: LoopbackServer
) -> None:
    server.will_reply("**Same.**", "**Same.**")
    kernel.run("import os")
    live = _only_output(kernel.run("%%chat --fresh -m gpt-4o\nHi"))
    kernel.run("os.environ['NBAGENTS_RENDER'] = 'final'")
    try:
        final = _only_output(kernel.run("%%chat --fresh -m gpt-4o\nHi"))
    finally:
        kernel.run("del os.environ['NBAGENTS_RENDER']")
    seconds = re.compile(r" · \d+\.\d s")
    assert {kind: seconds.sub("", text) for kind, text in live.items()} == final


def test_a_deleted_agent_lets_its_connections_go(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("ok")
    kernel.run(
        "import gc, nbagents\n"
        "from nbagents.models import OpenAIChatCompletionClient\n"
        f"kept = nbagents.ChatAgent(OpenAIChatCompletionClient(model='gpt-4o',"
        f" base_url={server.base_url!r}, api_key='x'))"
    )
    before = server.open_connections
    kernel.run("%%chat kept\nHi")
    assert server.open_connections == before + 1
    kernel.run("del kept; _ = __ = ___ = None; Out.clear(); gc.collect()")
    deadline = time.monotonic() + 5
    while server.open_connections > before and time.monotonic() < deadline:
        kernel.run("gc.collect()")
    assert server.open_connections == before


@pytest.mark.parametrize(
    "line",
    [
        "%%chat --api-key {}\nHi",
        "%%chat -m gpt-4o api_key={}\nHi",
        "%%chat -m {}\nHi",
        "%chat --api-key {} Hi",
        "%chat -m {} Hi",
        "%chat Is {} valid?",
        "%chat_history {}",
        "%chat_panel {}",
        "%chat_panel --api-key={}",
        "%usage {}",
        "%agents token={}",
        "%cassette {}",
        "%cassette reviews.jsonl --key={}",
    ],
)
def test_no_magic_takes_a_key_on_its_line_and_none_repeats_it(kernel: Kernel, line: str) -> None:
    key = "sk-1234567890abcdef1234"
    done = kernel.run(line.format(key))
    (problem,) = done.of("error")
    assert "A key does not belong on a magic line" in problem["evalue"]
    assert all(way in problem["evalue"] for way in ("getpass", "environment", "keyring"))
    said = json.dumps([each.content for each in done.messages if each.kind != "execute_input"])
    assert key not in said


def test_lines_that_hold_no_key_are_taken(kernel: Kernel) -> None:
    for line in (
        "%usage  # so far",
        "%agents",
        "%chat_history",
        "%cassette 0123456789abcdef0123456789abcdef.jsonl --off",
    ):
        assert kernel.run(line).status == "ok"


def test_dollars_in_frames_are_no_formulas(kernel: Kernel, server: LoopbackServer) -> None:
    server.will_reply("It costs $5 or $6.")
    kernel.run("%%chat\nWhat does it cost?")
    html = kernel.run("%chat_history").of("execute_result")[0]["data"]["text/html"]
    assert html.startswith('<div class="mathjax_ignore tex2jax_ignore">')
    assert "$5" in html


def test_a_key_in_use_is_not_sent_in_a_prompt(kernel: Kernel, server: LoopbackServer) -> None:
    kernel.run("from nbagents.models import OpenAIChatCompletionClient as Client")
    kernel.run("another = Client(model='gpt-4o', api_key='another-key-' + str(12345678))")
    before = len(server.requests)
    done = kernel.run("%%chat\nWhy is another-key-12345678 refused?")
    assert "The prompt holds a key that is in use here" in done.of("error")[0]["evalue"]
    assert len(server.requests) == before
