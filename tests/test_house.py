"""The house itself: layers, public names, light imports, what is shipped, what pages say."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import nbformat
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import nbagents

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MODULES = sorted(
    module.name for module in pkgutil.walk_packages(nbagents.__path__, prefix="nbagents.")
)
HEAVY = {"anyio", "httpx2", "markdown_it", "numpy", "openai", "pandas", "pydantic"}


def python(code: str) -> str:
    """Run code in an interpreter of its own and return what it printed."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    ).stdout


def tracked_texts() -> dict[str, str]:
    """The text of every file that git knows, by its path."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    texts = {}
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            texts[name] = content.decode("utf-8")
    return texts


def test_dependencies_point_down_only() -> None:
    lint = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_every_public_module_states_its_names() -> None:
    public = [name for name in MODULES if "._" not in name]
    assert [name for name in public if not hasattr(importlib.import_module(name), "__all__")] == []


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_a_module_defines_for_others(name: str) -> None:
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        return
    stated = module.__all__
    # A package speaks for the private modules within it, a module for itself.
    homes = (name, f"{name}._") if hasattr(module, "__path__") else (name,)
    defined = {
        key
        for key, value in vars(module).items()
        if not key.startswith("_")
        and key != "main"  # what `python -m` runs
        and not key.startswith("pytest_")  # hooks, which pytest knows by their names
        and (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__.startswith(homes)
    }
    assert [key for key in stated if not hasattr(module, key)] == []
    assert defined - set(stated) == set()
    assert len(set(stated)) == len(stated)


def test_every_lazy_name_of_the_front_door_resolves() -> None:
    assert [name for name in nbagents.__all__ if not hasattr(nbagents, name)] == []
    assert set(nbagents.__all__) <= set(dir(nbagents))


def test_importing_nbagents_imports_only_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import nbagents; "
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    assert set(python(code).split()) - set(sys.stdlib_module_names) == {"nbagents"}


def test_loading_the_extension_imports_nothing_heavy() -> None:
    code = (
        "import sys, threading\n"
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "threading.Thread.start = lambda thread: None  # only the foreground counts\n"
        "before = set(sys.modules)\n"
        "shell.run_line_magic('load_ext', 'nbagents')\n"
        "print(*{m.split('.')[0] for m in set(sys.modules) - before})"
    )
    loaded = set(python(code).split())
    assert "nbagents" in loaded
    assert loaded & HEAVY == set()


def test_no_page_installs_somebody_elses_package() -> None:
    wrong = re.compile(r"pip3? install[^\n`]*\snbagents(?![\w-])|uv add nbagents(?![\w-])")
    here = Path(__file__).name
    said = [name for name, text in tracked_texts().items() if wrong.search(text)]
    assert [name for name in said if not name.endswith(here)] == []


def test_no_file_names_the_folder_it_was_written_in() -> None:
    if len(ROOT.parts) < 3:
        pytest.skip("the checkout's path is too short to be telling")
    assert [name for name, text in tracked_texts().items() if f"{ROOT}/" in text] == []


def test_constraints_pin_every_direct_dependency_and_name_no_index() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert re.findall(r"://|^-| @ ", text, flags=re.MULTILINE) == []
    pinned = {canonicalize_name(line.split("==")[0]) for line in text.splitlines()}
    groups = [
        PYPROJECT["project"]["dependencies"],
        *PYPROJECT["project"]["optional-dependencies"].values(),
        *PYPROJECT["dependency-groups"].values(),
    ]
    wanted = {canonicalize_name(Requirement(line).name) for group in groups for line in group}
    assert wanted - pinned == set()


def test_a_user_gets_fewer_than_45_packages() -> None:
    """Counted from the installed packages' metadata, without extras."""
    found: dict[str, Distribution] = {}
    waiting = ["nbagents-jupyter"]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found:
            continue
        found[name] = distribution(name)
        for line in found[name].requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(requirement.name)
    assert len(found) - 1 < 45


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    [path] = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(
    wheel: zipfile.ZipFile,
) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    pages = {
        f"nbagents/models/_embedded/pages/{page.name}" for page in (ROOT / "docs").glob("*.md")
    }
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "nbagents").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == sources | pages - {"nbagents/models/_embedded/pages/index.md"}
    assert {
        "nbagents/py.typed",
        "nbagents/prices.json",
        "nbagents/models/_embedded/tour.json",
    } <= names


def test_the_distribution_has_a_name_of_its_own(wheel: zipfile.ZipFile) -> None:
    [name] = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    assert "Name: nbagents-jupyter" in wheel.read(name).decode("utf-8").splitlines()


def test_links_between_the_pages_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    dead = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert dead == []


NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_saved_with_its_outputs_and_without_the_machine(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert notebook.metadata == {
        "kernelspec": {
            "display_name": "Python 3 (ipykernel)",
            "language": "python",
            "name": "python3",
        },
        "language_info": {"name": "python", "pygments_lexer": "ipython3"},
    }
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    assert [cell.source for cell in code if "%%chat" in cell.source and not cell.outputs] == []


# A chat cell, and what a panel is sent from Python.
PROMPT = re.compile(
    r"^%%chat(?!.*--fresh)[^\n]*\n(.*)|^panel\.(?:send|edit)\((?:.*, )?\"(.*)\"\)$",
    re.MULTILINE,
)


def test_each_prompt_of_the_tour_has_its_reply() -> None:
    bodies = [
        (found[1] or found[2]).replace("{distance}", "9.537")
        for name in ("01_first_chat", "05_chat_panel")
        for cell in nbformat.read(ROOT / f"notebooks/{name}.ipynb", as_version=4).cells
        for found in PROMPT.finditer(cell.source if cell.cell_type == "code" else "")
    ]
    tour = json.loads((ROOT / "nbagents/models/_embedded/tour.json").read_text(encoding="utf-8"))
    assert [entry["prompt"] for entry in tour["replies"]] == bodies
