"""The magic ``%cassette``: every request of the kernel recorded, or replayed."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_magic, magics_class

from nbagents.errors import ConfigurationError
from nbagents.notebook._typed_keys import refuse_keys

if TYPE_CHECKING:
    import pandas as pd
    from IPython.core.interactiveshell import InteractiveShell

__all__ = ["CassetteMagics"]

FOLDER = "cassettes"

_HELP = """\
%cassette [FILE] [--mode MODE] [--real-time] [--off]

Send every request of this kernel through a cassette: of %%chat cells, panels, agents, and plain
`await client.create(...)`. A FILE without a folder is in `cassettes` beside the notebook.

  --mode MODE   auto: replay what is known, record what is new (the default)
                replay: never send a request; no key is needed
                record: send every request, and record anew
                live: leave the cassette alone
  --real-time   replay as slowly as it was recorded
  --off         take the cassette out

NBAGENTS_MODE, where it is set for the kernel, says the mode instead. Without a FILE the recorded
requests are returned as a DataFrame. Run the line again to begin again with the first replies.
"""


@magics_class
class CassetteMagics(Magics):
    """Recording and replaying, for all clients of the kernel."""

    shell: Any

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self._before: dict[str, str | None] | None = None

    @line_magic
    def cassette(self, line: str) -> pd.DataFrame | None:
        """Put a cassette in, or take it out."""
        refuse_keys(line)
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise ConfigurationError(f"%cassette {line}: {error}. Close the quotes.") from error
        if "-h" in words or "--help" in words:
            self.shell.display_pub.publish({"text/plain": _HELP})
            return None
        wanted = _parse(words)
        if wanted.pop("off"):
            self.take_out()
            return None
        if wanted["file"] is None:
            return _frame()
        self._put_in(**wanted)
        return None

    cassette.__doc__ = _HELP

    def _put_in(self, file: str, mode: str | None, real_time: bool) -> None:
        from nbagents.models._cassette import switch
        from nbagents.models._cassette.switch import CASSETTE, IF_THERE, MODE, REAL_TIME

        if self._before is None:
            names = (CASSETTE, IF_THERE, MODE, REAL_TIME)
            self._before = {name: os.environ.get(name) for name in names}
        try:
            os.environ[CASSETTE] = str(_path_of(file))
        except ValueError as error:  # half of a surrogate pair, NUL
            raise ConfigurationError(f"{file!r} names no file; give another name.") from error
        os.environ[REAL_TIME] = "1" if real_time else self._before[REAL_TIME] or "0"
        os.environ[MODE] = self._before[MODE] or mode or "auto"
        os.environ.pop(IF_THERE, None)
        switch.eject()
        try:
            switch.current_deck()
        except ConfigurationError:
            self.take_out()
            raise

    def take_out(self) -> None:
        """Leave the environment as it was before."""
        before, self._before = self._before or {}, None
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _parse(words: list[str]) -> dict[str, Any]:
    wanted: dict[str, Any] = {"file": None, "mode": None, "real_time": False, "off": False}
    rest = iter(words)
    for word in rest:
        name, _, value = word.partition("=")
        if name == "--mode":
            wanted["mode"] = value or next(rest, "")
        elif word in ("--real-time", "--off"):
            wanted[word[2:].replace("-", "_")] = True
        elif word.startswith("-") or wanted["file"] is not None:
            raise ConfigurationError(f"%cassette does not know {word!r}; see %cassette --help.")
        else:
            wanted["file"] = word
    return wanted


def _path_of(file: str) -> Path:
    """Where a cassette is: a bare name is looked for here, else in the folder of cassettes."""
    path = Path(file).expanduser()
    if not path.suffix:
        path = path.with_suffix(".jsonl")
    if path.parent == Path() and not path.exists():
        path = FOLDER / path
    return path.absolute()


def _frame() -> pd.DataFrame:
    """The recorded requests, a row each."""
    import pandas as pd

    from nbagents.models._cassette.switch import current_deck
    from nbagents.notebook._frames import listing

    deck = current_deck()
    if deck is None:
        raise ConfigurationError("No cassette is in; put one in with %cassette FILE.")
    unused = {id(record) for record in deck.unused}
    rows = [
        {
            "model": record.request.get("model"),
            "prompt": record.prompt,
            "reply": record.reply,
            "ended": record.ending,
            "used": id(record) not in unused,
        }
        for record in deck.records
    ]
    columns = ["model", "prompt", "reply", "ended", "used"]
    frame = pd.DataFrame(rows, columns=columns).convert_dtypes()
    return listing(frame, "Nothing has been recorded yet.")
