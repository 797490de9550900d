"""Pictures: Pillow's images as PNG or TIFF, and matplotlib's figures as they look."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from workflow_assets.errors import CodecError
from workflow_assets.store.formats import Buffer, library
from workflow_assets.store.labels import InexactError, read_plain, write_plain
from workflow_assets.store.trees import from_json, to_json

_NOTES = "workflow_assets"
_DESCRIPTION = 270
"""The TIFF tag that holds a text."""

_MODES = {
    "png": frozenset({"1", "L", "LA", "I;16", "P", "RGB", "RGBA"}),
    "tiff": frozenset({"CMYK", "F", "I", "I;16B", "LAB", "PA", "RGBX", "RGBa", "La", "YCbCr"}),
}
_DENSEST = 1100
"""How many bytes of a picture a byte of PNG can stand for: deflate has 1032 at most."""


class Picture:
    """A figure as it looks: what is kept of a matplotlib figure, in the PNG format that notebooks and browsers show.

    >>> Picture(b"...").png
    b'...'
    """

    __slots__ = ("png",)

    def __init__(self, png: bytes) -> None:
        self.png = png

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Picture) and self.png == other.png

    def __hash__(self) -> int:
        return hash(self.png)

    def __repr__(self) -> str:
        return f"<Picture of {len(self.png)} bytes of PNG>"

    def _repr_png_(self) -> bytes:
        return self.png


class FigureCodec:
    """matplotlib figures, drawn once: whoever takes one from a step is given a `Picture`, in a later run as in this."""

    name = "picture"
    extension = "png"

    def accepts(self, value: Any) -> bool:
        """Tell whether it is a figure, or the picture of one."""
        figure = sys.modules.get("matplotlib.figure")
        return type(value) is Picture or (figure is not None and isinstance(value, figure.Figure))

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the PNG, which does not say when or by what it was drawn."""
        if type(value) is Picture:
            return (value.png,)
        file = io.BytesIO()
        value.savefig(file, format="png", metadata={"Software": None})
        return (file.getvalue(),)

    def decode(self, data: Buffer) -> Any:
        """Give a picture."""
        return Picture(bytes(data))

    def copy(self, value: Any) -> Any:
        """Give a picture itself, which nobody changes; None for a figure, which has yet to become one."""
        return value if type(value) is Picture else None


class ImageCodec:
    """Pillow's images with their mode, palette and info: as PNG, or as TIFF where PNG has no such mode.

    An image that was opened from a file comes back as a plain image. One with several frames is pickled.
    """

    def __init__(self, kind: str) -> None:
        self.name = self.extension = kind

    def accepts(self, value: Any) -> bool:
        """Tell whether it is an image of Pillow's own classes, of a mode that the format has."""
        images = sys.modules.get("PIL.Image")
        return (
            images is not None
            and isinstance(value, images.Image)
            and type(value).__module__.startswith("PIL.")
            and value.mode in _MODES[self.name]
        )

    def encode(self, value: Any) -> Sequence[Buffer] | None:
        """Give the file; None for an image that it does not give back exactly, such as one of no pixels."""
        from PIL import Image

        if (
            getattr(value, "n_frames", 1) > 1
            or not all(value.size)
            or value.width * value.height > (Image.MAX_IMAGE_PIXELS or 0)
        ):
            return None
        value.load()
        plain = Image.Image()._new(value.im)  # noqa: SLF001  # the constructor of an image over given pixels
        palette = None
        if value.palette is not None:
            palette = [value.palette.mode, value.im.getpalette(value.palette.mode, value.palette.mode)]
            plain.palette = value.palette.copy()
        try:
            notes = to_json(
                {"mode": value.mode, "info": write_plain(value.info), "palette": write_plain(palette)}
            )
        except InexactError:
            return None
        file = io.BytesIO()
        try:
            self._save(plain, file, notes)
            again = self.decode(file.getbuffer())
        except (OSError, ValueError, KeyError, CodecError):
            return None
        same = again.mode == value.mode and again.size == value.size and again.tobytes() == value.tobytes()
        return (file.getvalue(),) if same and again.getpalette("RGBA") == value.getpalette("RGBA") else None

    def decode(self, data: Buffer) -> Any:
        """Give the image; raise `CodecError` for a file that claims more pixels than its bytes can hold."""
        library("PIL.Image", "an image", "pillow")
        from PIL import Image

        with Image.open(io.BytesIO(data), formats=[self.name.upper()]) as opened:
            bits = 1 if opened.mode == "1" else 8
            if opened.width * opened.height * bits / 8 > len(data) * _DENSEST:
                raise CodecError(
                    f"the stored image claims {opened.width} × {opened.height} pixels, and has {len(data)} bytes"
                )
            opened.load()
            text = opened.text[_NOTES] if self.name == "png" else opened.tag_v2[_DESCRIPTION]  # type: ignore[attr-defined]
            notes = from_json(text)
            image = Image.frombytes(notes["mode"], opened.size, opened.tobytes())
        palette = read_plain(notes["palette"])
        if palette is not None:
            image.putpalette(palette[1], palette[0])
        image.info = read_plain(notes["info"])
        return image

    def copy(self, value: Any) -> Any:  # noqa: ARG002
        """Give None: an image that was opened from a file comes back as a plain one."""
        return None

    def _save(self, image: Any, file: io.BytesIO, notes: str) -> None:
        if self.name == "png":
            from PIL.PngImagePlugin import PngInfo

            info = PngInfo()
            info.add_itxt(_NOTES, notes)
            image.save(file, "PNG", pnginfo=info, compress_level=1)
        else:
            image.save(file, "TIFF", tiffinfo={_DESCRIPTION: notes})
