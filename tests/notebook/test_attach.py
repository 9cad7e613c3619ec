"""What ``--with`` sends of an object, and what it tells the user."""

from __future__ import annotations

import base64
import subprocess
import sys
import time
from collections import Counter, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from pydantic import BaseModel, SecretStr

from nbagents._keys import Secret
from nbagents.errors import ConfigurationError
from nbagents.messages import CreateResult, Image, RequestUsage
from nbagents.notebook._attach import attach
from nbagents.notebook._template import expand

mpl.use("agg")


def sent(value: object, **options: Any) -> tuple[str, str]:
    """The text and the note for one object."""
    attached = attach(["it"], {"it": value}, **{"vision": True, **options})
    (part,), (note,) = attached.parts, attached.notes
    assert isinstance(part, str)
    return part, note.removeprefix("it: ")


def body(value: object) -> str:
    """The text between the fences."""
    part, _ = sent(value)
    return part.split("\n", 2)[2].rsplit("\n", 1)[0]


def test_a_small_table_is_sent_whole_with_its_types() -> None:
    frame = pd.DataFrame({"year": [2025, 2026], "share": [0.5, None], "name": ["a,b", "c\nd"]})
    part, note = sent(frame.astype({"name": object}))
    assert part == (
        "`it` (pandas DataFrame, 2 rows x 3 columns):\n"
        "```csv\n"
        "dtypes: year int64, share float64, name object\n"
        "\n"
        ",year,share,name\n"
        '0,2025,0.5,"a,b"\n'
        "1,2026,nan,c d\n"
        "```"
    )
    assert note == "pandas DataFrame, 2 rows x 3 columns"


def test_of_a_long_and_wide_table_the_ends_are_sent_and_the_user_is_told() -> None:
    frame = pd.DataFrame(np.arange(100_000).reshape(1_000, 100))
    part, note = sent(frame, limit=100_000)
    lines = part.splitlines()
    assert lines[0] == "`it` (pandas DataFrame, 1,000 rows x 100 columns):"
    assert [line.split(",")[0] for line in lines[5:-1]] == [
        *map(str, range(20)),
        "...",
        *map(str, range(995, 1_000)),
    ]
    assert len(lines[5].split(",")) == 41
    assert note == "25 of 1,000 rows, 40 of 100 columns sent"


def test_a_table_of_ten_million_rows_takes_no_longer() -> None:
    frame = pd.DataFrame({"n": np.zeros(10_000_000), "m": np.zeros(10_000_000, dtype="int8")})
    started = time.process_time()  # others may use the machine at the same time
    _, note = sent(frame)
    assert time.process_time() - started < 0.5
    assert note == "25 of 10,000,000 rows sent"


def test_a_table_with_several_levels_repeated_labels_and_wild_cells_is_sent() -> None:
    index = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["letter", None])
    columns = pd.MultiIndex.from_tuples([("a", "b"), ("a", "b")])
    frame = pd.DataFrame([[_Broken(), list(range(500))], [pd.NaT, "z" * 999]], index, columns)
    lines = body(frame).splitlines()
    assert lines[0] == "dtypes: a / b object, a / b object"
    assert lines[2] == "letter,,a / b,a / b"
    assert lines[3].startswith('x,1,"<_Broken, whose repr raised ZeroDivisionError>","[0, 1, 2,')
    assert lines[4] == f"y,2,NaT,{'z' * 200}..."


def test_a_series_is_a_table_of_one_column() -> None:
    part, note = sent(pd.Series([1.5, 2.5], name="mass"))
    assert part.endswith("dtypes: mass float64\n\n,mass\n0,1.5\n1,2.5\n```")
    assert note == "pandas Series, 2 rows, dtype float64"


def test_an_array_is_sent_with_its_shape_and_the_edges_of_a_large_one() -> None:
    assert sent(np.eye(2)) == (
        "`it` (numpy array, 2 x 2, dtype float64):\n```\n[[1., 0.],\n [0., 1.]]\n```",
        "numpy array, 2 x 2, dtype float64",
    )
    part, note = sent(np.zeros((4_000, 4_000)))
    assert len(part) < 1_000
    assert note == "the edges of 16,000,000 values sent"


def _figure() -> Figure:
    figure = Figure(figsize=(4, 3))
    figure.subplots(2, 2)
    return figure


@pytest.mark.parametrize(
    "picture",
    [
        _figure(),
        _figure().axes[0],
        np.array(_figure().axes, dtype=object).reshape(2, 2),
        _figure().subfigures(1, 2)[0],
        PIL.Image.new("L", (30, 20)),
        Image.from_pil(PIL.Image.new("RGB", (30, 20))),
    ],
    ids=["figure", "axes", "array of axes", "subfigure", "pillow", "image"],
)
def test_a_picture_is_sent_as_an_image(picture: object) -> None:
    attached = attach(["it"], {"it": picture}, vision=True)
    (image,) = attached.parts
    assert isinstance(image, Image)
    width, height = image.image.size
    assert attached.notes == (f"it: image, {width} x {height} pixels",)


def test_a_model_without_vision_gets_no_picture_and_the_user_is_told_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"--with it is a picture, .* vision by -m"):
        attach(["it"], {"it": _figure()}, vision=False)


def test_a_large_picture_is_scaled_down() -> None:
    for picture in (PIL.Image.new("RGB", (4_000, 2_000)), Figure(figsize=(100, 50))):
        (image,) = attach(["it"], {"it": picture}, vision=True).parts
        assert isinstance(image, Image)
        assert max(image.image.size) <= 1_536


def test_transparent_becomes_white() -> None:
    picture = PIL.Image.new("RGBA", (2, 2), (0, 0, 0, 0))
    (image,) = attach(["it"], {"it": picture}, vision=True).parts
    assert isinstance(image, Image)
    assert image.image.getpixel((0, 0)) == (255, 255, 255)
    assert picture.getpixel((0, 0)) == (0, 0, 0, 0)


def _fall(depth: int) -> None:
    if depth == 0:
        raise KeyError("missing")
    _tumble(depth - 1)


def _tumble(depth: int) -> None:
    # Another function than the one that called it, so that no two frames are told as one.
    _fall(depth)


def _caught(depth: int) -> BaseException:
    try:
        _fall(depth)
    except KeyError as error:
        return error
    raise AssertionError


def test_an_exception_is_its_traceback() -> None:
    part, note = sent(_caught(2))
    assert part.startswith(
        "`it` (exception, KeyError):\n```pytb\nTraceback (most recent call last)"
    )
    assert part.endswith("KeyError: 'missing'\n```")
    assert "_tumble(depth - 1)" in part
    assert note == "exception, KeyError"


def test_of_a_deep_traceback_the_last_frames_are_sent() -> None:
    part, note = sent(_caught(200))
    assert part.endswith("KeyError: 'missing'\n```")
    assert part.count("_fall(depth)") == 5
    assert note == "the last 10 of 402 frames sent"


def double(x: int = object()) -> int:  # type: ignore[assignment]
    """Twice as much."""
    return x * 2


def test_a_function_and_a_class_are_their_source() -> None:
    part, note = sent(double)
    assert part.startswith("`it` (function):\n```python\ndef double(x: int = object())")
    assert part.endswith("return x * 2\n```")
    assert note == "function"
    assert "class _Broken:" in sent(_Broken)[0]


def test_what_has_no_source_or_too_much_is_its_signature_and_docstring() -> None:
    part, note = sent(len)
    assert part.startswith("`it` (function):\n```python\nlen(obj, /)")
    assert note == "its signature and docstring sent"
    assert sent(subprocess.Popen)[1] == "its signature and docstring sent"
    assert " at 0x" not in sent(subprocess.Popen)[0]


def test_a_module_is_its_docstring_and_names() -> None:
    part, note = sent(base64)
    assert part.startswith("`it` (module base64):\n```\nBase16, Base32")
    assert "b64encode" in part
    assert note == "its docstring and names sent"


@dataclass
class City:
    name: str
    people: list[int]
    mayor_key: str = field(default="k", repr=False)


class Login(BaseModel):
    user: str
    word: SecretStr


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (City("Oslo", [1, 2]), "City", "name: 'Oslo'\npeople: [1, 2]"),
        (
            Login(user="a", word=SecretStr("w")),
            "Login",
            "user: 'a'\nword: SecretStr('**********')",
        ),
        (Point(1, "b"), "Point", "x: 1\ny: 'b'"),
        ({"b": [1, {"c"}], "a": None}, "dict, 2 items", "{'b': [1, {'c'}], 'a': None}"),
        (defaultdict(list, a=[1]), "defaultdict, 1 item", "{'a': [1]}"),
        (Counter("aab"), "Counter, 2 items", "{'a': 2, 'b': 1}"),
        (deque([1, 2]), "deque, 2 items", "[1, 2]"),
        ({"b", "a", "c"}, "set, 3 items", "{'a', 'b', 'c'}"),
        (3.5, "float", "3.5"),
        (None, "NoneType", "None"),
        (b"\x00\x01", "bytes, 2 bytes", r"b'\x00\x01'"),
        ("plain text", "text, 10 characters", "plain text"),
        (object(), "object", "<object object>"),
    ],
)
def test_other_objects_are_sent_whole_when_small(value: object, kind: str, text: str) -> None:
    part, note = sent(value)
    assert (part.split("\n")[0], body(value), note) == (f"`it` ({kind}):", text, kind)


def test_a_reply_is_its_text() -> None:
    reply = CreateResult(
        finish_reason="stop", content="# Yes", usage=RequestUsage(1, 1), cached=False
    )
    assert sent(reply)[0] == "`it` (a model's reply):\n```markdown\n# Yes\n```"


def test_a_path_is_a_name_and_the_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("private")
    part, note = sent(path)
    assert str(path) in part
    assert "private" not in part
    assert note == "its name, not what is in the file sent"


class _Broken:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class _Huge:
    def __repr__(self) -> str:
        return "ab" * 5_000_000


def _endless() -> list[Any]:
    around: list[Any] = [1]
    around.append(around)
    return around


def _deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(100_000):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "note"),
    [
        (_Broken(), "_Broken"),
        ([_Broken()], "list, 1 item"),
        (_Huge(), "10,000 of 10,000,000 characters sent"),
        ([_Huge()], "what fits of 1 item sent"),
        ("x" * 20_000, "10,000 of 20,000 characters sent"),
        (list(range(10_000_000)), "what fits of 10,000,000 items sent"),
        ([[0] * 1_000] * 1_000, "what fits of 1,000 items, 10,000 of 23,979 characters sent"),
        (
            dict.fromkeys(range(900_000)),
            "what fits of 900,000 items, 10,000 of 11,901 characters sent",
        ),
        ({"text": "x" * 1_000_000}, "what fits of 1 item sent"),
        (bytes(1_000_000), "200 of 1,000,000 bytes sent"),
        (_endless(), "what fits of 2 items sent"),
        (_deep(), "what fits of 1 item sent"),
        (10**5_000, "int"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 99 else "",
)
def test_no_object_is_too_large_or_too_wild(value: object, note: str) -> None:
    started = time.process_time()
    part, told = sent(value)
    assert time.process_time() - started < 2
    assert told == note
    assert len(part) < 10_500


def test_backticks_in_an_object_do_not_end_its_fence() -> None:
    assert sent("a\n````\nb")[0] == "`it` (text, 8 characters):\n`````\na\n````\nb\n`````"


def test_keys_within_an_object_are_masked_and_the_user_is_told() -> None:
    part, note = sent({"url": "https://x", "auth": "sk-proj-0123456789abcdef"})
    assert "0123456789abcdef" not in part
    assert "[key left out]" in part
    assert note == "dict, 2 items; left out 1 that looked like a key"


def test_a_secret_by_its_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="DB_PASSWORD is by its name a secret") as caught:
        attach(["DB_PASSWORD"], {"DB_PASSWORD": "hunter2"}, vision=False)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["DB_PASSWORD[:]", "DB_PASSWORD[0:3][:]", "settings['password'][-9:]"]
)
def test_so_is_a_piece_of_it(name: str) -> None:
    names = {"DB_PASSWORD": "hunter2", "settings": {"password": "hunter2"}}
    with pytest.raises(ConfigurationError, match="is by its name a secret"):
        attach([name], names, vision=False)


@pytest.mark.parametrize("name", ["planets[0](1)", "planets (1).real", "planets + planets"])
def test_what_is_no_expression_of_the_form_is_not_there(name: str) -> None:
    with pytest.raises(ConfigurationError, match="there is no variable planets"):
        attach([name], {"planets": [1]}, vision=False)


def test_an_unknown_name_is_told_with_the_nearest_one() -> None:
    with pytest.raises(ConfigurationError) as caught:
        attach(["plantes"], {"planets": 1}, vision=False)
    assert str(caught.value) == "--with: there is no variable plantes; did you mean planets?"


def test_several_objects_are_sent_in_order_and_parts_of_them_too() -> None:
    attached = attach(["b", "a[0]", "c.real"], {"a": ["x"], "b": 2, "c": 3}, vision=False)
    assert [str(part).split(" ")[0] for part in attached.parts] == ["`b`", "`a[0]`", "`c.real`"]
    assert attached.notes == ("b: int", "a[0]: text, 1 characters", "c.real: int")


def test_nothing_is_imported_to_find_out_what_an_object_is() -> None:
    code = (
        "import sys\n"
        "from nbagents.notebook._attach import attach\n"
        "attach(['a', 'b'], {'a': [1], 'b': object()}, vision=True)\n"
        "print([m for m in ('pandas', 'numpy', 'matplotlib', 'PIL', 'openai') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(VALUES.filter(lambda value: len(repr(value)) < 1_000))
def test_small_plain_values_are_sent_as_python_writes_them(value: object) -> None:
    text = body(value)
    if not isinstance(value, str):
        assert eval(text, {"nan": float("nan"), "inf": float("inf")}) is not Ellipsis


def test_a_member_that_is_by_its_name_a_secret_is_left_out() -> None:
    @dataclass
    class Account:
        user: str
        password: str

    settings = {"host": "db", "db": [{"password": "hunter2", "api_key": b"canary"}]}
    for value in (settings, Account("ada", "hunter2")):
        part, note = sent(value)
        assert "hunter2" not in part
        assert "canary" not in part
        assert "[secret left out]" in part
        assert "sent" in note
    assert "hunter2" not in expand("It is {it}.", {"it": settings}).text


def test_an_object_that_fails_at_every_question_is_sent_by_its_type() -> None:
    class Spiteful:
        @property
        def __class__(self) -> Any:
            raise RuntimeError("not telling")

        def __repr__(self) -> str:
            raise RuntimeError("not telling")

    part, _ = sent(Spiteful())
    assert "<Spiteful, whose repr raised RuntimeError>" in part
    part, _ = sent([1, Spiteful()])
    assert "[1, <Spiteful, whose repr raised RuntimeError>]" in part
    attach(["it", "password"], {"it": Spiteful(), "password": Spiteful()}, vision=True)


def test_a_key_that_is_in_use_is_left_out_whatever_its_form() -> None:
    key = Secret("opaque-canary-of-the-attachment")
    part, note = sent({"header": f"X-Key: {key.reveal()}"})
    assert key.reveal() not in part
    assert note == "dict, 1 item; left out 1 that looked like a key"
