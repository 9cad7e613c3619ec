"""Many streams at once in one process: what they take, and how late their chunks are.

``python -m tests.benchmarks.load CONTENDER ADDRESS STREAMS CHUNKS PER_SECOND`` measures once and
prints a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

from tests.benchmarks.contenders import CONTENDERS, Contender
from tests.benchmarks.server import AROUND

__all__ = ["Load", "measure"]

_FILES = 4096
_BYTES = 1 if sys.platform == "darwin" else 1024  # what the system counts memory in


@dataclass(frozen=True)
class Load:
    """What became of the streams.

    Attributes:
        streams: How many there were.
        whole: How many brought all their chunks.
        times_ideal: From the first request to the last end, in multiples of what one stream
            takes alone.
        kib_each: Memory beyond that before, at its peak, in KiB a stream.
        late: The 99th percentile of the seconds from when a chunk was due to when its reader had
            it.
        cpu: Microseconds of CPU a chunk.
    """

    streams: int
    whole: int
    times_ideal: float
    kib_each: float
    late: float
    cpu: float


def measure(contender: str, address: str, streams: int, chunks: int, per_second: int) -> Load:
    """Let a contender read so many streams at once, in a process of its own."""
    numbers = map(str, (streams, chunks, per_second))
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.load", contender, address, *numbers],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Load(**json.loads(done.stdout))


async def _measure(name: str, address: str, streams: int, chunks: int, per_second: int) -> Load:
    _allow_files()
    contender = CONTENDERS[name](f"{address}/times/{chunks}/per-second/{per_second}/v1")
    warm = CONTENDERS[name](f"{address}/times/2/per-second/100/v1")
    await _read(warm, Counter())  # imports, caches
    ideal = (chunks + AROUND - 1) / per_second
    before, started, worked = _peak(), time.monotonic(), time.process_time()
    errors: Counter[str] = Counter()
    lateness = await asyncio.gather(*(_read(contender, errors) for _ in range(streams)))
    seconds, worked = time.monotonic() - started, time.process_time() - worked
    for error, times in errors.items():
        print(f"{times} streams of {name} were cut by {error}", file=sys.stderr)
    every = sorted(each for stream in lateness for each in stream)
    return Load(
        streams=streams,
        whole=sum(len(each) == chunks for each in lateness),
        times_ideal=seconds / ideal,
        kib_each=(_peak() - before) / streams,
        late=every[len(every) * 99 // 100] if every else seconds,
        cpu=worked / max(1, len(every)) * 1e6,
    )


async def _read(contender: Contender, errors: Counter[str]) -> list[float]:
    """How late each chunk of a stream was; none of them when it did not end well."""
    try:
        return [time.monotonic() - float(piece) async for piece in contender.stream()]
    except Exception as error:
        errors[type(error).__name__] += 1
        return []


def _allow_files() -> None:
    """As many open files as Jupyter Server allows itself and its kernels, at the least."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now < _FILES <= most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, most))


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES / 1024


if __name__ == "__main__":
    name, address, *numbers = sys.argv[1:]
    streams, chunks, per_second = map(int, numbers)
    print(json.dumps(asdict(asyncio.run(_measure(name, address, streams, chunks, per_second)))))
