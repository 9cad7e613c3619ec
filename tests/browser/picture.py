"""Take the README's picture: ``python -m tests.browser.picture`` writes docs/images/."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from tests.browser.lab import Lab, Window, chromium

ROOT = Path(__file__).parents[2]
TOUR = ROOT / "notebooks/01_first_chat.ipynb"
PICTURE = ROOT / "docs/images/first_chat.png"
FIRST = 3  # the first cell that chats
SIZE = {"width": 1_100, "height": 745}


def main() -> None:
    """Run the tour in JupyterLab, and keep what its first reply looks like."""
    with Lab() as lab, chromium() as browser:
        shutil.copy(TOUR, lab.folder)
        window = Window(lab, browser)
        window.command("application:toggle-left-area")
        notebook = window.open(TOUR.name)
        notebook.run_all()
        notebook.wait_idle()
        window.page.set_viewport_size(SIZE)
        notebook.look_at(FIRST - 1)
        notebook.output(FIRST).locator("mjx-container[display=true]").wait_for()
        taken = window.keep("picture")
    PICTURE.parent.mkdir(exist_ok=True)
    with Image.open(taken) as picture:
        picture.convert("RGB").save(PICTURE, optimize=True)


if __name__ == "__main__":
    main()
