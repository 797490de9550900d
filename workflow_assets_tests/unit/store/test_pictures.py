"""Images as PNG or TIFF, and figures as pictures of themselves."""

import io
import struct
import zlib

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from workflow_assets import MemoryStore, Picture
from workflow_assets.errors import CodecError
from workflow_assets.store.codecs import decode, encode, independent_copy

NOISE = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype="u1")
COLOURS = Image.fromarray(NOISE)


def with_info():
    image = COLOURS.convert("RGB")
    image.info = {"dpi": (72.0, 72.0), "note": "größe", "icc_profile": b"\0\1"}
    return image


def with_palette(mode, colours):
    image = Image.new("P", (7, 5))
    image.putdata((NOISE[..., 0] % 3).ravel().tolist())
    image.putpalette(colours, mode)
    return image


PNG = {
    "L": COLOURS.convert("L"),
    "LA": COLOURS.convert("LA"),
    "RGB": COLOURS.convert("RGB"),
    "RGBA": COLOURS,
    "1": COLOURS.convert("1"),
    "I;16": Image.fromarray(NOISE[..., 0].astype("u2") * 257),
    "P": with_palette("RGB", [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    "P of RGBA": with_palette("RGBA", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
    "P of many": COLOURS.convert("RGB").quantize(16),
    "with info": with_info(),
    "cropped": COLOURS.crop((1, 1, 3, 4)),
}
TIFF = {
    "CMYK": COLOURS.convert("RGB").convert("CMYK"),
    "F": Image.fromarray(NOISE[..., 0].astype("f4") / 7),
    "I": Image.fromarray(NOISE[..., 0].astype("i4") * -70000),
    "YCbCr": COLOURS.convert("RGB").convert("YCbCr"),
}


@pytest.mark.parametrize("image", [*PNG.values(), *TIFF.values()], ids=[*PNG, *TIFF])
def test_an_image_comes_back_as_it_was(image):
    """In mode, pixels, palette and info; Pillow reads the file."""
    encoded = encode(image, pickles=False)
    assert encoded.codec == ("tiff" if image.mode in TIFF else "png")
    for again in (
        decode(encoded.codec, encoded.bytes(), pickles=False),
        independent_copy(encoded, pickles=False),
    ):
        assert type(again) is Image.Image
        assert (again.mode, again.size, again.info) == (image.mode, image.size, image.info)
        assert again.tobytes() == image.tobytes()
        assert again.getpalette("RGBA") == image.getpalette("RGBA")
        assert again == image
    with Image.open(io.BytesIO(encoded.bytes())) as opened:
        assert opened.convert("RGBA").tobytes() == image.convert("RGBA").tobytes()


def test_an_image_opened_from_a_file_comes_back_as_a_plain_one(tmp_path):
    """In this run as in a later one: the file may be gone by then."""
    COLOURS.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as opened:
        encoded = encode({"x": opened}, pickles=False)
    again = independent_copy(encoded, pickles=False)["x"]
    assert type(again) is Image.Image
    assert again.tobytes() == COLOURS.tobytes()


def test_an_image_of_no_pixels_is_left_to_pickle():
    """PNG has none such."""
    empty = Image.new("L", (0, 3))
    assert encode(empty, pickles=True).codec == "pickle"


def huge_png():
    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data", [huge_png(), b"", b"\x89PNG\r\n\x1a\n", encode(COLOURS, pickles=False).bytes()[:60]]
)
def test_a_header_that_claims_what_is_not_there_is_refused(data):
    """Before its pixels are allocated."""
    with pytest.raises(CodecError):
        decode("png", data, pickles=True)


def figure():
    drawn = matplotlib.figure.Figure(figsize=(1, 1))
    drawn.add_subplot().plot([1, 2])
    return drawn


def test_a_figure_is_handed_on_as_a_picture():
    """Equal in this run and in a later one, and shown by notebooks; the same figure gives the same bytes."""
    encoded = encode(figure(), pickles=False)
    assert (encoded.codec, encoded.bytes()[:4]) == ("picture", b"\x89PNG")
    warm, cold = decode("picture", encoded.bytes(), pickles=False), independent_copy(encoded, pickles=False)
    assert type(warm) is type(cold) is Picture
    assert warm == cold
    assert hash(warm) == hash(cold)
    assert warm._repr_png_() == warm.png == encode(figure(), pickles=False).bytes()
    assert "bytes of PNG" in repr(warm)


def test_a_picture_is_stored_as_what_it_holds():
    """As a whole and as a member."""
    store = MemoryStore(pickles=False)
    for value in (Picture(b"png" * 1000), {"a": [Picture(b"x")], "figure": Picture(b"y")}):
        assert store.load(store.put(f"a{len(repr(value))}", value)) == value
