"""What a name in a cell stands for."""

from __future__ import annotations

import pytest

from nbagents.notebook._variables import NotThereError, did_you_mean, find, user_variables


def test_what_ipython_put_into_the_kernel_is_not_the_users_unless_bound_anew() -> None:
    leave, earlier = object(), object()
    namespace = {"exit": leave, "_": 3, "mine": 1, "_mine": 2, "open": "now mine", "__name__": "x"}
    hidden = {"exit": leave, "_": 3, "open": earlier}
    namespace["_"] = hidden["_"] = object()
    assert user_variables(namespace, hidden) == {"mine": 1, "_mine": 2, "open": "now mine"}


def test_an_expression_is_looked_up_step_by_step_and_nothing_is_called() -> None:
    namespace = {"rows": [{"name": "Ada"}], "i": 0, "key": "name"}
    assert find("rows[i][key]", namespace) == "Ada"
    assert find("rows[-1]['name'][1:]", namespace) == "da"
    assert find("i.real", namespace) == 0


@pytest.mark.parametrize(
    "expression",
    ["row", "rows[1]", "rows[nothing]", "rows.name", "rows[0]['x']", "rows.__class__", "i[0]", ""],
)
def test_what_is_not_there_is_told_apart_from_what_raises(expression: str) -> None:
    with pytest.raises(NotThereError):
        find(expression, {"rows": [{"name": "Ada"}], "i": 0})


def test_the_nearest_name_is_offered() -> None:
    assert did_you_mean("plantes", ["planets", "stars"]) == "; did you mean planets?"
    assert did_you_mean("zzz", ["planets", "stars"]) == ""
