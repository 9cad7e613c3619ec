"""A recorded notebook, in a project of its own."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import nbagents
from nbagents.models import OpenAIChatCompletionClient, UserMessage
from nbagents.testing import LoopbackServer
from tests.testing.recorded import CELLS, connected


@pytest.fixture(scope="session", autouse=True)
def imported() -> None:
    """All that a request imports: pytester throws away what is imported while it runs pytest.

    A second copy of the HTTP library would not know the errors of the first one.
    """
    import pandas  # noqa: F401

    with LoopbackServer() as server:
        client = OpenAIChatCompletionClient(
            model="gpt-4o", base_url=server.base_url, api_key="none"
        )
        nbagents.run(client.create([UserMessage(content="Hi", source="user")]))
        nbagents.run(client.close())


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a notebook that was run live, with a cassette in, and saved."""
    folder = tmp_path_factory.mktemp("recorded")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in CELLS])
    with LoopbackServer() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in connected(server).items():
            patch.setenv(name, value)
        # Outputs as a person's own Lab leaves them, with the seconds.
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)
        patch.setenv("NBAGENTS_CASSETTE", str(folder / "cassettes" / "tour.jsonl"))
        server.will_reply("Seven it is.", "The letter Q.")
        NotebookClient(notebook, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.write(notebook, folder / "tour.ipynb")
    return folder


@pytest.fixture
def project(recorded: Path, pytester: pytest.Pytester) -> Path:
    """A copy of it in a project of its own."""
    return Path(shutil.copytree(recorded, pytester.path / "notebooks"))


@pytest.fixture
def run_pytest(pytester: pytest.Pytester) -> Callable[..., pytest.RunResult]:
    """Run pytest on the notebooks, without key and server unless they are given."""

    def run(*options: str, **environment: str) -> pytest.RunResult:
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("PYTEST_CURRENT_TEST", raising=False)
            for name, value in environment.items():
                patch.setenv(name, value)
            return pytester.runpytest_subprocess("-p", "no:asyncio", *options, "notebooks")

    return run


@pytest.fixture
def run(run_pytest: Callable[..., pytest.RunResult]) -> Callable[..., pytest.RunResult]:
    """Run pytest with nbval."""
    nbval = ("--nbval", "--nbval-current-env")
    return lambda *options, **environment: run_pytest(*nbval, *options, **environment)
