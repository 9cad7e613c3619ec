"""An image that a message carries."""

from __future__ import annotations

import base64
import binascii
import re
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from nbagents.errors import ConfigurationError

if TYPE_CHECKING:
    from PIL.Image import Image as PILImage

__all__ = ["Image"]

_DATA_URI = re.compile(r"data:image/[a-z0-9.+-]+;base64,", re.IGNORECASE)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)


class Image:
    """An image, held as the encoded bytes that go to the model.

    Pillow is needed only to make one from a Pillow image and to read ``.image``.

    Args:
        image: A Pillow image; it is converted to RGB and encoded as PNG.
    """

    def __init__(self, image: PILImage) -> None:
        buffer = BytesIO()
        image.convert("RGB").save(buffer, format="PNG")
        self._data = buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Image:
        """Take encoded bytes (PNG, JPEG, GIF or WebP) as they are.

        Raises:
            ConfigurationError: The bytes are none of these formats.
        """
        if _media_type(data) is None:
            raise ConfigurationError(
                "These bytes are not a PNG, JPEG, GIF or WebP image; convert the image first."
            )
        image = cls.__new__(cls)
        image._data = data
        return image

    @classmethod
    def from_pil(cls, pil_image: PILImage) -> Image:
        """Take a Pillow image."""
        return cls(pil_image)

    @classmethod
    def from_uri(cls, uri: str) -> Image:
        """Take a ``data:image/...;base64,`` address; nothing is fetched.

        Raises:
            ConfigurationError: The address is of another kind.
        """
        match = _DATA_URI.match(uri)
        if match is None:
            raise ConfigurationError(
                "Only data:image/...;base64, addresses are taken; read the file and use from_file."
            )
        return cls.from_base64(uri[match.end() :])

    @classmethod
    def from_base64(cls, base64_str: str) -> Image:
        """Take the base64 text of an encoded image.

        Raises:
            ConfigurationError: The text is not base64, or not of an image.
        """
        try:
            return cls.from_bytes(base64.b64decode(base64_str))
        except binascii.Error as error:
            raise ConfigurationError(f"The image's base64 text is broken: {error}.") from error

    @classmethod
    def from_file(cls, file_path: str | Path) -> Image:
        """Read an encoded image from a file."""
        return cls.from_bytes(Path(file_path).read_bytes())

    @property
    def image(self) -> PILImage:
        """The Pillow image, decoded anew."""
        import PIL.Image

        return PIL.Image.open(BytesIO(self._data))

    @property
    def media_type(self) -> str:
        """The format, as ``image/png``."""
        return _media_type(self._data) or "application/octet-stream"

    @property
    def data_uri(self) -> str:
        """The image as a ``data:`` address."""
        return f"data:{self.media_type};base64,{self.to_base64()}"

    def to_base64(self) -> str:
        """The encoded bytes as base64 text."""
        return base64.b64encode(self._data).decode("ascii")

    def to_openai_format(self, detail: Literal["auto", "low", "high"] = "auto") -> dict[str, Any]:
        """The content part of the chat-completions API."""
        return {"type": "image_url", "image_url": {"url": self.data_uri, "detail": detail}}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and self._data == other._data

    def __hash__(self) -> int:
        return hash(self._data)

    def __repr__(self) -> str:
        return f"Image({self.media_type}, {len(self._data):,} bytes)"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"text/html": f'<img src="{self.data_uri}">', "text/plain": repr(self)}

    @classmethod
    def __get_pydantic_core_schema__(
        cls, source_type: object, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda image: {"data": image.to_base64()}
            ),
        )


def _media_type(data: bytes) -> str | None:
    for signature, media_type in _SIGNATURES:
        if data.startswith(signature):
            return media_type
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return None


def _validated(value: object) -> Image:
    if isinstance(value, Image):
        return value
    if isinstance(value, dict) and isinstance(value.get("data"), str):
        return Image.from_base64(value["data"])
    raise ValueError("an Image, or {'data': '<base64>'}, is expected")
