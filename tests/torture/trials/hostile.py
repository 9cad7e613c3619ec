"""Hostile texts in the terminal, in JupyterLab, and in what nbconvert makes of a notebook."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence

from tests.rendering.hostile import HOSTILE
from tests.torture import terminals
from tests.torture.figures import Figure, Scale

# Always tried in a terminal, however small the share.
COMMANDING = ("ANSI colours", "OSC title", "control characters", "bidirectional override")
_FEW = 3
"""Texts that a part of the trial takes to JupyterLab, where all places and holes take a minute."""


def trial(scale: Scale) -> Iterator[Figure]:
    """All texts in all places, or some of them."""
    yield Figure("hostile texts", len(HOSTILE), 60, at_least=True)
    names = random.Random(scale.seed).sample(list(HOSTILE), scale.of(len(HOSTILE)))
    yield from terminals.figures([*dict.fromkeys([*names, *COMMANDING])])
    if shutil.which("chromium"):
        yield from _in_chromium(names if scale.share >= 1 else names[:_FEW])


def _in_chromium(names: Sequence[str]) -> Iterator[Figure]:
    command = [sys.executable, "-m", "tests.torture.pages", *names]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield Figure(**json.loads(line))
    assert process.returncode == 0
