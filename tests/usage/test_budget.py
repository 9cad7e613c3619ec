import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbagents.errors import BudgetExceededError
from nbagents.prices import cost_usd
from nbagents.usage import (
    ASSUMED_REPLY_TOKENS,
    Budget,
    UsageLedger,
    UsageRecord,
    budgets,
    reserve,
    set_budget,
    within,
)

# gpt-4o costs $2.50 a million tokens in and $10 out.
A_CENT = {"model": "gpt-4o", "prompt_tokens": 2_000, "max_tokens": 500}


@pytest.fixture
def notebook_budget():
    budget = Budget(0.03, name="the notebook's budget")
    set_budget(budget)
    yield budget
    set_budget(None)


def test_what_fits_is_let_through_and_counted():
    budget = Budget(0.02)
    budget.reserve(**A_CENT).settle(0.004)
    assert budget.spent == 0.004
    assert budget.left == pytest.approx(0.016)


def test_a_request_that_would_overspend_is_refused_and_says_by_how_much():
    budget = Budget(0.03, name="the cell's budget", advice="%config ChatMagics.budget = 0.10")
    budget.reserve(**A_CENT).settle(0.025)
    with pytest.raises(BudgetExceededError) as refusal:
        budget.reserve(**A_CENT)
    assert str(refusal.value) == (
        "This request would overspend the cell's budget of $0.030 by $0.0050: $0.025 spent, and "
        "it may cost $0.010 (gpt-4o, 2,000 tokens in, up to 500 out). Ask for a shorter reply, "
        "choose a cheaper model, or %config ChatMagics.budget = 0.10."
    )
    assert budget.spent == 0.025


def test_a_request_may_use_the_last_cent():
    Budget(cost_usd("gpt-4o", 2_000, 500)).reserve(**A_CENT)


def test_without_max_tokens_a_reply_of_usual_length_is_assumed():
    budget = Budget(1)
    budget.reserve("gpt-4o", 0)
    assert budget.left == pytest.approx(1 - ASSUMED_REPLY_TOKENS * 10e-6)


def test_a_model_without_a_price_is_refused_and_the_error_says_how_to_give_it_one():
    with pytest.raises(BudgetExceededError, match=r"set_price\('llama3.2', input="):
        Budget(1).reserve("llama3.2", 10)


def test_a_free_model_runs_on_a_spent_budget():
    budget = Budget(0.01)
    budget.reserve(**A_CENT).settle(0.02)
    budget.reserve("nbagents-embedded", 10)


def test_requests_under_way_cannot_overspend_together():
    budget = Budget(0.03)
    under_way = [budget.reserve(**A_CENT) for _ in range(3)]
    with pytest.raises(BudgetExceededError, match=r"\$0.00 spent, \$0.030 set aside for others"):
        budget.reserve(**A_CENT)
    under_way[0].release()
    budget.reserve(**A_CENT)


@given(st.integers(0, 12), st.floats(0, 0.05))
def test_threads_never_get_more_than_the_limit_together(requests, limit):
    budget = Budget(limit)

    def ask(_):
        with suppress(BudgetExceededError):
            budget.reserve(**A_CENT).settle(cost_usd("gpt-4o", 2_000, 500))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(ask, range(requests)))
    assert budget.spent <= limit + 1e-9
    assert budget.left == pytest.approx(limit - budget.spent)


def test_a_request_is_settled_once():
    budget = Budget(1)
    reservation = budget.reserve(**A_CENT)
    reservation.settle(0.01)
    reservation.settle(0.01)
    reservation.release()
    assert budget.spent == 0.01


def test_what_nobody_knows_the_cost_of_is_counted_at_its_estimate():
    budget = Budget(1)
    budget.reserve(**A_CENT).settle(None)
    assert budget.spent == pytest.approx(0.01)


def test_a_request_that_was_not_sent_costs_nothing():
    budget = Budget(1)
    with suppress(ValueError), budget.reserve(**A_CENT):
        raise ValueError
    assert (budget.spent, budget.left) == (0.0, 1.0)


def test_a_budget_over_a_ledger_reads_there_what_was_spent():
    ledger = UsageLedger([UsageRecord(model="gpt-4o", cost=0.04)])
    budget = Budget(0.05, ledger=ledger)
    assert budget.spent == 0.04
    reservation = budget.reserve(**A_CENT)
    ledger.add(UsageRecord(model="gpt-4o", cost=0.007))
    reservation.settle(0.007)
    assert budget.spent == pytest.approx(0.047)
    with pytest.raises(BudgetExceededError):
        budget.reserve(**A_CENT)


@pytest.mark.parametrize("limit", [-0.01, float("nan"), float("inf")])
def test_a_budget_is_a_sum_of_dollars(limit):
    with pytest.raises(ValueError, match="A budget is 0 or more USD"):
        Budget(limit)


def test_a_budget_shows_what_is_left_of_it():
    budget = Budget(1_500)
    budget.reserve(**A_CENT).settle(0.0042)
    assert repr(budget) == "<Budget: $0.0042 of $1,500.00 spent>"


def test_no_budget_holds_nobody():
    assert budgets() == ()
    reserve("llama3.2", 10).settle(None)


def test_a_request_counts_in_the_notebooks_and_in_the_cells_budget(notebook_budget):
    with within(Budget(0.02)) as cell_budget:
        assert budgets() == (notebook_budget, cell_budget)
        reserve(**A_CENT).settle(0.01)
    reserve(**A_CENT).settle(0.01)
    assert (cell_budget.spent, notebook_budget.spent) == (0.01, 0.02)


def test_what_one_budget_refuses_is_set_aside_in_none(notebook_budget):
    too_little = Budget(0.001, name="the cell's budget")
    with within(too_little), pytest.raises(BudgetExceededError, match="the cell's budget"):
        reserve(**A_CENT)
    assert notebook_budget.left == 0.03


async def test_a_cells_budget_holds_in_the_tasks_started_in_it_and_nowhere_else():
    async def held():
        await asyncio.sleep(0)
        return budgets()

    outside = asyncio.create_task(held())
    with within(Budget(1)) as budget:
        inside = asyncio.create_task(held())
    assert await inside == (budget,)
    assert await outside == ()
