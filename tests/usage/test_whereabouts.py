import asyncio

import pytest

from nbagents.usage import Whereabouts, attribute, in_no_cell, set_whereabouts, whereabouts


@pytest.fixture
def in_cell_seven():
    remove = set_whereabouts(lambda: Whereabouts(source="notebook", cell=7))
    yield
    remove()


def test_nobody_is_anywhere_at_first():
    assert whereabouts() == (None, None)


def test_requests_inside_are_counted_for_who_makes_them():
    with attribute(source="ada", cell=3):
        assert whereabouts() == ("ada", 3)
    assert whereabouts() == (None, None)


def test_the_inner_of_two_holds_and_what_it_leaves_out_stays():
    with attribute(source="ada", cell=3), attribute(source="grace"):
        assert whereabouts() == ("grace", 3)


@pytest.mark.usefixtures("in_cell_seven")
def test_the_default_function_answers_where_nothing_is_attributed():
    assert whereabouts() == ("notebook", 7)
    with attribute(source="ada"):
        assert whereabouts() == ("ada", 7)


@pytest.mark.usefixtures("in_cell_seven")
async def test_what_is_in_no_cell_is_not_in_the_one_that_runs():
    async def ask():
        await asyncio.sleep(0)
        return whereabouts()

    with in_no_cell():
        task = asyncio.create_task(ask())
        assert whereabouts() == ("notebook", None)
        with attribute(source="ada", cell=3):
            assert whereabouts() == ("ada", 3)
    assert await task == ("notebook", None)
    assert whereabouts() == ("notebook", 7)


def test_a_default_function_that_was_replaced_does_not_take_the_new_one_away():
    remove_old = set_whereabouts(lambda: Whereabouts(cell=1))
    remove_new = set_whereabouts(lambda: Whereabouts(cell=2))
    remove_old()
    assert whereabouts().cell == 2
    remove_new()
    assert whereabouts().cell is None


async def test_tasks_take_their_whereabouts_with_them():
    async def ask():
        await asyncio.sleep(0)
        return whereabouts()

    with attribute(source="ada", cell=3):
        task = asyncio.create_task(ask())
    with attribute(source="grace"):
        assert await task == ("ada", 3)


async def test_tasks_side_by_side_do_not_see_each_other():
    async def ask(name):
        with attribute(source=name):
            await asyncio.sleep(0.01)
            return whereabouts().source

    assert await asyncio.gather(*map(ask, "abc")) == ["a", "b", "c"]


async def test_a_stream_may_be_closed_by_another_task_than_it_was_started_in():
    async def stream():
        with attribute(source="ada"):
            yield whereabouts()

    started = stream()
    assert await anext(started) == ("ada", None)
    with attribute(source="grace"):
        await asyncio.create_task(started.aclose())
        assert whereabouts().source == "grace"
