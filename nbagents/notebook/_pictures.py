"""Figures and pictures of the kernel as images for a model."""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from nbagents.notebook._description import is_a

if TYPE_CHECKING:
    from nbagents.messages import Image

__all__ = ["Picture", "picture_of"]

# Vision models scale larger pictures down; sending more costs time and money only.
_LONGEST = 1536
_DPI = 100


@dataclass(frozen=True)
class Picture:
    """An image, and its size as words."""

    image: Image
    size: str


def picture_of(value: object) -> Picture | None:
    """Return what an object looks like, if it is a picture.

    Pictures are matplotlib figures and what belongs to one (axes, arrays of axes, seaborn's
    grids), Pillow images, `Image`, and IPython's ``Image`` when it holds its bytes.
    """
    if is_a(value, "nbagents.messages", "Image"):
        return _sized(value)
    if is_a(value, "PIL.Image", "Image"):
        return _from_pillow(value)
    if is_a(value, "IPython.core.display", "Image"):
        data = getattr(value, "data", None)
        return _from_bytes(data) if isinstance(data, bytes) else None
    figure = _figure_of(value)
    return None if figure is None else _from_figure(figure)


def _figure_of(value: Any) -> Any:
    if is_a(value, "numpy", "ndarray"):
        value = value.flat[0] if value.dtype == object and value.size else None
    if "matplotlib.figure" not in sys.modules:
        return None
    if not is_a(value, "matplotlib.figure", "FigureBase"):
        with suppress(Exception):  # a property of that name, of somebody else's, may raise
            value = getattr(value, "figure", None)
    # A subfigure's figure is the one around it.
    while is_a(value, "matplotlib.figure", "SubFigure"):
        value = value.figure
    return value if is_a(value, "matplotlib.figure", "Figure") else None


def _from_figure(figure: Any) -> Picture:
    import PIL.Image  # matplotlib needs it too

    out = BytesIO()
    dpi = min(_DPI, _LONGEST / max(figure.get_size_inches()))
    figure.savefig(out, format="png", dpi=dpi, bbox_inches="tight")
    return _from_pillow(PIL.Image.open(out))


def _from_pillow(picture: Any) -> Picture:
    import PIL.Image

    from nbagents.messages import Image

    picture = picture.copy()
    picture.thumbnail((_LONGEST, _LONGEST))
    if "A" in picture.getbands() or "transparency" in picture.info:
        # What is transparent would turn black.
        picture = picture.convert("RGBA")
        paper = PIL.Image.new("RGBA", picture.size, "white")
        picture = PIL.Image.alpha_composite(paper, picture)
    return _sized(Image.from_pil(picture))


def _from_bytes(data: bytes) -> Picture:
    from nbagents.messages import Image

    return _sized(Image.from_bytes(data))


def _sized(image: Any) -> Picture:
    try:
        width, height = image.image.size
    except ImportError:  # there is no Pillow to ask
        return Picture(image, image.media_type)
    return Picture(image, f"{width} x {height} pixels")
