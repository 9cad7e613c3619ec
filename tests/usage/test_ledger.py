import logging
import subprocess
import sys
from datetime import UTC, datetime
from threading import Thread

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nbagents.usage
from nbagents.usage import UsageLedger, UsageRecord

DTYPES = {
    "time": "datetime64[ns, UTC]",
    "cell": "Int64",
    "source": "category",
    "model": "category",
    "prompt_tokens": "Int64",
    "cached_tokens": "Int64",
    "completion_tokens": "Int64",
    "reasoning_tokens": "Int64",
    "cost": "Float64",
    "seconds": "Float64",
    "time_to_first_token": "Float64",
    "finish_reason": "category",
    "status": "category",
    "estimated": "boolean",
}

tokens = st.none() | st.integers(0, 10**9)
numbers = st.none() | st.floats(0, 1e6)
names = st.none() | st.text(max_size=5)
records = st.builds(
    UsageRecord,
    time=st.datetimes(
        datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC), allow_imaginary=False
    ),
    cell=st.none() | st.integers(0, 10**4),
    source=names,
    model=st.text(max_size=5),
    prompt_tokens=tokens,
    cached_tokens=tokens,
    completion_tokens=tokens,
    reasoning_tokens=tokens,
    cost=numbers,
    seconds=numbers,
    time_to_first_token=numbers,
    finish_reason=names,
    status=st.sampled_from(["complete", "failed", "cancelled"]),
    estimated=st.booleans(),
)


def record(**known):
    return UsageRecord(**{"model": "gpt-4o", "time": datetime(2026, 1, 1, tzinfo=UTC)} | known)


def known(values):
    return [value for value in values if value is not None]


@given(st.lists(records, max_size=6))
def test_a_frame_has_the_same_columns_and_dtypes_whatever_is_unknown(some):
    frame = UsageLedger(some).to_frame()
    assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == DTYPES
    assert list(frame) == list(DTYPES)
    assert len(frame) == len(some)


@given(st.lists(records, max_size=6))
def test_a_frame_holds_what_the_records_say(some):
    frame = UsageLedger(some).to_frame()
    for name in DTYPES:
        values = [None if pd.isna(value) else value for value in frame[name]]
        assert values == [getattr(one, name) for one in some], name


@given(st.lists(records, max_size=6))
def test_totals_are_those_of_what_is_known(some):
    ledger = UsageLedger(some)
    costs = known(one.cost for one in some)
    assert ledger.cost == pytest.approx(sum(costs))
    assert ledger.unpriced == len(some) - len(costs)
    assert ledger.to_frame()["cost"].sum() == pytest.approx(ledger.cost)


@given(st.lists(records, max_size=6), st.sampled_from(["model", "source", "cell", "status"]))
def test_totals_by_any_column_add_up_to_the_whole(some, column):
    frame = UsageLedger(some).to_frame()
    totals = frame.groupby(column, observed=True, dropna=False)[["cost", "prompt_tokens"]].sum()
    assert totals["cost"].sum() == pytest.approx(frame["cost"].sum())
    assert totals["prompt_tokens"].sum() == sum(known(one.prompt_tokens for one in some))


def test_a_total_nobody_knows_can_be_told_from_nothing():
    frame = UsageLedger([record(model="llama3.2", prompt_tokens=5)]).to_frame()
    cost = frame.groupby("model", observed=True)["cost"].sum(min_count=1)
    assert cost["llama3.2"] is pd.NA


def test_records_come_back_in_the_order_they_were_added():
    ledger = UsageLedger()
    first, second = record(cell=1), record(cell=2)
    ledger.add(first)
    ledger.add(second)
    assert ledger.records == (first, second)
    assert len(ledger) == 2


def test_a_cleared_ledger_is_empty():
    ledger = UsageLedger([record(cost=1.0)])
    ledger.clear()
    assert (ledger.records, ledger.cost, len(ledger)) == ((), 0.0, 0)


def test_threads_add_without_losing_a_record():
    ledger, seen = UsageLedger(), []
    ledger.on_add(seen.append)

    def add_many():
        for _ in range(500):
            ledger.add(record(prompt_tokens=1))

    threads = [Thread(target=add_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ledger) == len(seen) == 4_000
    assert ledger.to_frame()["prompt_tokens"].sum() == 4_000


def test_a_watcher_sees_each_record_until_it_is_removed():
    ledger, seen = UsageLedger(), []
    remove = ledger.on_add(seen.append)
    one = record()
    ledger.add(one)
    remove()
    remove()
    ledger.add(record())
    assert seen == [one]


def test_a_watcher_may_look_at_the_ledger():
    ledger, lengths = UsageLedger(), []
    ledger.on_add(lambda _: lengths.append(len(ledger.records)))
    ledger.add(record())
    assert lengths == [1]


def test_a_watcher_that_fails_neither_stops_the_request_nor_the_other_watchers(caplog):
    ledger, seen = UsageLedger(), []
    ledger.on_add(lambda _: 1 / 0)
    ledger.on_add(seen.append)
    with caplog.at_level(logging.ERROR):
        ledger.add(record())
    assert len(seen) == len(ledger) == 1
    assert "ZeroDivisionError" in caplog.text


def test_a_ledger_shows_its_totals_and_its_rows():
    ledger = UsageLedger(
        [
            record(prompt_tokens=1_200, completion_tokens=80, cost=0.0038),
            record(model="llama<3>", prompt_tokens=10, completion_tokens=5, estimated=True),
        ]
    )
    bundle = ledger._repr_mimebundle_()
    summary = (
        "2 requests · 1,210 tokens in, 85 out · $0.0038 · 1 without a known cost · partly estimated"
    )
    assert bundle["text/plain"].startswith(summary)
    assert f"<p>{summary}</p>" in bundle["text/html"]
    assert "llama&lt;3&gt;" in bundle["text/html"]
    assert "&lt;NA&gt;" in bundle["text/html"]


def test_a_ledger_of_estimates_alone_is_not_partly_estimated():
    assert str(UsageLedger([record(estimated=True)])).endswith(" · estimated>")


def test_a_ledger_shows_nothing_that_differs_from_run_to_run():
    shown = UsageLedger([record(seconds=1.25, time_to_first_token=0.5)])._repr_mimebundle_()
    for text in shown.values():
        assert "2026" not in text
        assert "1.25" not in text
        assert "0.5" not in text


def test_an_empty_ledger_says_so():
    bundle = UsageLedger()._repr_mimebundle_()
    assert bundle == {"text/plain": "No requests yet", "text/html": "<p>No requests yet</p>"}
    assert repr(UsageLedger()) == "<UsageLedger: No requests yet>"


def test_usage_is_imported_without_pandas_openai_or_pydantic():
    code = "import sys, nbagents.usage; print({'pandas', 'openai', 'pydantic'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_the_public_names_are_there():
    assert [name for name in nbagents.usage.__all__ if not hasattr(nbagents.usage, name)] == []
