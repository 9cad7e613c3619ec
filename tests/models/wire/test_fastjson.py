from __future__ import annotations

import json
from typing import Any

import pytest

from nbagents.models._wire.fastjson import JSONError, dumps, loads


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "", "{", "nul", "{'a': 1}"])
def test_what_is_not_json_is_one_kind_of_error(text: str) -> None:
    with pytest.raises(JSONError):
        loads(text)
    with pytest.raises(JSONError):
        loads(text.encode())


def test_what_only_the_patient_reader_reads_is_read() -> None:
    assert loads(b'"\\ud83d"') == "\ud83d"
    assert loads(b'"a\xffb"') == "a\ufffdb"
    assert loads("\ufeff1") == 1
    assert loads("[Infinity]") == [float("inf")]


def test_the_fast_and_the_patient_reader_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ['{"a": [1, 2.5, "é", null, true]}', '"\\ud83d\\ude00"', '{"a": 1, "a": 2}']
    fast = [loads(each.encode()) for each in texts]
    monkeypatch.setattr("nbagents.models._wire.fastjson.from_json", json.loads)
    assert [loads(each.encode()) for each in texts] == fast


def test_what_json_cannot_hold_is_that_error_too() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for wrong in (deep, object()):
        with pytest.raises(JSONError):
            dumps(wrong)
