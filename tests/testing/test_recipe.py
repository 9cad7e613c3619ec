"""The page on tests, followed to the letter: a project with nothing but nbagents and nbval."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from nbagents.messages import UserMessage
from nbagents.models import ReplayChatCompletionClient
from tests.testing.recorded import CELLS

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/tests_without_a_key.md").read_text(encoding="utf-8")


def block(language: str, containing: str) -> str:
    """The page's block of code in ``language`` that holds this text."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    [found] = [each for each in blocks if containing in each]
    return str(found)


def needed_by(requirement: Requirement, seen: set[str]) -> Iterator[str]:
    """The names of the distributions that pip would install for it, as they are installed here."""
    name = requirement.name.lower()
    if name in seen:
        return
    seen.add(name)
    yield name
    for line in distribution(name).requires or ():
        needed = Requirement(line)
        extras = requirement.extras or {""}
        if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
            yield from needed_by(needed, seen)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has what the page says to install, and nothing else."""
    folder = tmp_path_factory.mktemp("environment")
    for command in (
        ["-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        ["-m", "venv", "--without-pip", str(folder / "venv")],
    ):
        subprocess.run([sys.executable, *command], cwd=ROOT, check=True, capture_output=True)
    [site] = folder.glob("venv/[Ll]ib/**/site-packages")
    [wheel] = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(site)
    seen: set[str] = set()
    for line in ("nbagents-jupyter", *block("text", "nbval").split()):
        for name in needed_by(Requirement(line), seen):
            if name != "nbagents-jupyter":
                link(name, site)
    return folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def link(name: str, site: Path) -> None:
    """Have a distribution of this environment in that one too."""
    installed = distribution(name)
    parts = {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}
    for part in parts:
        if not (site / part).exists():
            (site / part).symlink_to(Path(str(installed.locate_file(part))))


@pytest.mark.kernel
def test_the_recipe_works_in_an_environment_with_nothing_else(project: Path, python: Path) -> None:
    root = project.parent
    files = {
        "pyproject.toml": block("toml", "nbagents_requests"),
        "requirements.txt": block("text", "nbval"),
        ".github/workflows/tests.yml": block("yaml", "ubuntu"),
        "tests/test_tutor.py": block("python", "chat_client"),
    }
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content, encoding="utf-8")
    workflow: Any = yaml.safe_load(files[".github/workflows/tests.yml"])
    [*_, install, test] = workflow["jobs"]["notebooks"]["steps"]
    assert install["run"].endswith("-r requirements.txt")
    kept = {n: v for n, v in os.environ.items() if n in ("HOME", "PATH", "LANG", "SYSTEMROOT")}
    run = subprocess.run(
        [python, *test["run"].split()[1:]], cwd=root, env=kept, capture_output=True, text=True
    )
    assert f"{len(CELLS) + 1} passed" in run.stdout.splitlines()[-1], run.stdout + run.stderr
    assert run.returncode == 0


async def test_the_cassette_on_the_page_can_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "tour.jsonl"
    path.write_text(block("json", "Say hello."), encoding="utf-8")
    client = ReplayChatCompletionClient.from_cassette(path)
    result = await client.create([UserMessage(content="Say hello.", source="user")])
    assert (result.content, result.usage.prompt_tokens) == ("Hello.", 9)
