"""Cassettes, caches and ledgers: killed, crowded, refused, damaged, and read again."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.torture.figures import Figure, Scale


def trial(scale: Scale) -> Iterator[Figure]:
    """In a process of its own, which forks and gives up rights."""
    # Nothing of this depends on the disk, so where there is room in memory it is kept there.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="kept-", dir=memory) as folder:
        command = [sys.executable, "-m", "tests.torture.keeping", str(scale.share)]
        with subprocess.Popen(
            [*command, str(scale.seed), folder], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                yield Figure(**json.loads(line))
        assert process.returncode == 0
