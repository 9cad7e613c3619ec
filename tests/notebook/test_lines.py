"""What IPython makes of the lines of chat cells."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from IPython.core.inputtransformer2 import TransformerManager

from nbagents.notebook._lines import install_lines


class _Shell:
    def __init__(self) -> None:
        self.input_transformer_manager = TransformerManager()


@pytest.fixture
def manager() -> Iterator[TransformerManager]:
    shell = _Shell()
    undo = install_lines(shell)  # type: ignore[arg-type]
    yield shell.input_transformer_manager
    undo()
    plain = TransformerManager()
    assert shell.input_transformer_manager.line_transforms == plain.line_transforms
    assert shell.input_transformer_manager.token_transformers == plain.token_transformers


@pytest.mark.parametrize(
    "prompt",
    [
        "Why is the sky blue?",
        "--fresh Why is the sky blue?",
        "What's the capital of France?",
        'What is "this"?',
        "Is {x:.2f} more than 1?",
        "Really??",
    ],
)
def test_that_a_line_may_be_a_question(manager: TransformerManager, prompt: str) -> None:
    call = f"get_ipython().run_line_magic('chat', {prompt!r})\n"
    assert manager.transform_cell(f"%chat {prompt}") == call
    assert manager.transform_cell(f"x = 1\n%chat {prompt}\nx\n") == f"x = 1\n{call}x\n"
    assert manager.transform_cell(f"if x:\n    %chat {prompt}\n") == f"if x:\n    {call}"
    assert manager.transform_cell(f"x = 1\nr = %chat {prompt}\nr") == f"x = 1\nr = {call}r\n"


@pytest.mark.parametrize(
    "line", ["%chat?", "%%chat?", "%%chat??", "%chat_history?", "chat?", "%chat ?", "r = %chat?"]
)
def test_that_help_stays_help(manager: TransformerManager, line: str) -> None:
    assert manager.transform_cell(line) == TransformerManager().transform_cell(line)


def test_that_text_stays_text(manager: TransformerManager) -> None:
    cell = 'text = """\n%chat Why is the sky blue?\n"""\n'
    assert manager.transform_cell(cell) == cell


@pytest.mark.parametrize("cell", ["%%chat tutor --new", "%%chat tutor --new\n"])
def test_that_a_cell_needs_no_body(manager: TransformerManager, cell: str) -> None:
    assert manager.transform_cell(cell) == (
        "get_ipython().run_cell_magic('chat', 'tutor --new', '\\n')\n"
    )
    assert "'chats', '', ''" in manager.transform_cell("%%chats")


def test_that_a_terminal_still_waits_for_the_body(manager: TransformerManager) -> None:
    assert manager.check_complete("%%chat")[0] == "incomplete"
    assert manager.check_complete("%%chat\nHello\n\n")[0] == "complete"


@pytest.mark.kernel
def test_that_the_agent_of_a_bare_line_is_made() -> None:
    from tests.notebook.kernels import Kernel

    with Kernel(NBAGENTS_REQUESTS="off") as kernel:
        kernel.run("%load_ext nbagents")
        made = kernel.run("%%chat tutor --new -s 'Be brief.'")
        assert made.status == "ok"
        assert kernel.run("assert tutor.name == 'tutor'").status == "ok"
        assert kernel.run("%chat How do I set a budget?").status == "ok"
        assert kernel.run("said = %chat_history\nassert len(said) == 2").status == "ok"
