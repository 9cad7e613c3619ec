from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nbagents.usage import UsageRecord


def test_what_is_not_given_is_unknown_and_not_zero():
    record = UsageRecord(model="gpt-4o")
    assert (record.cell, record.source, record.prompt_tokens, record.cost) == (None,) * 4
    assert record.status == "complete"


def test_a_record_is_of_now_unless_it_says_otherwise():
    before = datetime.now(UTC)
    assert before <= UsageRecord(model="gpt-4o").time <= datetime.now(UTC)


def test_times_are_kept_in_utc():
    noon_in_berlin = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=1)))
    record = UsageRecord(model="gpt-4o", time=noon_in_berlin)
    assert (record.time.hour, record.time.tzinfo) == (11, UTC)


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match=r"Use datetime\.now\(UTC\)"):
        UsageRecord(model="gpt-4o", time=datetime(2026, 1, 1))


def test_a_record_never_changes():
    with pytest.raises(FrozenInstanceError):
        UsageRecord(model="gpt-4o").cost = 0.0
