"""Pictures become the arrays that transformers 4.57.6 makes of them, however they are given."""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from pictured import PICTURES, picture
from silmu.errors import (
    InputError,
    InvalidModelError,
    ModelNotFoundError,
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime import image_processor
from silmu.runtime.folder import Folder
from silmu.runtime.image import MAX_BYTES, MAX_PIXELS, Facts, facts, load_image, open_image
from silmu.runtime.image_processor import FILE, WHOLE_FILE, ImageProcessor

GOLDEN: dict[str, Any] = json.loads(
    (Path(__file__).parent / "golden" / "images.json").read_text(encoding="utf-8")
)
VIT = GOLDEN["settings"]["vit"]
BYTES = (PICTURES / "wide.png").read_bytes()
TEXT = base64.b64encode(BYTES).decode()


def processor(folder: Path, settings: dict[str, Any], file: str = FILE) -> ImageProcessor:
    (folder / file).write_text(json.dumps(settings))
    return ImageProcessor.open(Folder(folder, "a model"))


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def plain(name: str) -> Image.Image:
    """A picture as PIL itself reads it."""
    return Image.open(io.BytesIO((PICTURES / name).read_bytes()))


def array_of(given: Any, **options: Any) -> np.ndarray:
    return np.asarray(load_image(given, **options))


# ── what becomes of pixels ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("settings", GOLDEN["settings"])
def test_pixels_are_those_of_transformers(settings: str, tmp_path: Path) -> None:
    made = processor(tmp_path, GOLDEN["settings"][settings])
    for case in (case for case in GOLDEN["arrays"] if case["settings"] == settings):
        found = made.arrays([picture(case["picture"])])["pixel_values"]
        assert found.dtype == np.float32
        assert list(found.shape) == case["shape"], case["picture"]
        kept = found.ravel()[:: case["every"]]
        np.testing.assert_allclose(kept, case["values"], rtol=1e-6, atol=1e-6, err_msg=settings)
        # No number between those that are kept differs either.
        assert found.sum(dtype=np.float64) == pytest.approx(case["sum"], rel=1e-7, abs=1e-4)


def test_many_pictures_are_each_what_they_are_alone(tmp_path: Path) -> None:
    made = processor(tmp_path, GOLDEN["settings"]["clip"])
    names = ["wide.png", "tall.jpg", "column.png", "digit:0"]
    whole = made.arrays([picture(name) for name in names])["pixel_values"]
    for row, name in zip(whole, names, strict=True):
        np.testing.assert_array_equal(row, made.arrays([picture(name)])["pixel_values"][0])
    pixels = np.stack([made.pixels(picture(name)) for name in names])
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(made.normalised(pixels), whole)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (3, 20), (20, 3), (3, 3), (1, 40)])
def test_a_picture_of_few_rows_is_not_taken_for_channels(size: tuple[int, int]) -> None:
    # transformers guesses where the channels are, and takes a height of 1 or 3 for them.
    made = ImageProcessor.fitted((8, 8), 3, [0.5] * 3, [0.5] * 3)
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    found = made.arrays([Image.fromarray(pixels)])["pixel_values"]
    resized = np.asarray(Image.fromarray(pixels).resize((8, 8), Image.Resampling.BILINEAR))
    expected = (resized.transpose(2, 0, 1) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(found[0], expected, atol=1e-6)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("short", [5, 90])
def test_a_very_long_picture_is_resized_where_it_is_cut(
    short: int, turned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = processor(tmp_path, GOLDEN["settings"]["bit"])
    stripes = np.random.default_rng(1).integers(0, 256, (short, 2001, 3), np.uint8)
    image = Image.fromarray(stripes.transpose(1, 0, 2) if turned else stripes)
    whole = made.pixels(image)
    monkeypatch.setattr(image_processor, "MAX_RESIZED", 100)
    difference = whole.astype(int) - made.pixels(image)
    assert abs(difference).max() <= 1
    assert (difference != 0).mean() < 0.2


def test_a_fitted_processor_is_read_back(tmp_path: Path) -> None:
    for channels, mean, std in ((1, [0.1307], [0.3081]), (3, [0.4, 0.5, 0.6], [0.2, 0.3, 0.1])):
        fitted = ImageProcessor.fitted((20, 28), channels, mean, std)
        (tmp_path / FILE).write_bytes(fitted.to_bytes())
        opened = ImageProcessor.open(Folder(tmp_path, "a model"))
        assert opened == fitted
        assert opened.background == "white"
        found = opened.arrays([picture("wide.png")])["pixel_values"]
        assert found.shape == (1, channels, 20, 28)
        seen = picture("wide.png").convert("L" if channels == 1 else "RGB")
        seen = seen.resize((28, 20), Image.Resampling.BILINEAR)
        pixels = np.asarray(seen).reshape(20, 28, channels).transpose(2, 0, 1)
        expected = (pixels / 255 - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_gray_needs_a_config_that_says_so(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(ImageProcessor.fitted((8, 8), 1, [0.5], [0.5]).to_bytes())
    (tmp_path / "config.json").write_text('{"model_type": "silmu-image", "num_channels": 3}')
    with pytest.raises(InvalidModelError, match=r"1 channels, and config\.json 3"):
        ImageProcessor.open(Folder(tmp_path, "a model"))


def test_names_of_processors(tmp_path: Path) -> None:
    plain = processor(tmp_path, VIT)
    fast = processor(tmp_path, VIT | {"image_processor_type": "ViTImageProcessorFast"})
    assert (fast.size, fast.mean, fast.resample) == (plain.size, plain.mean, plain.resample)
    (tmp_path / FILE).unlink()
    # transformers 5 writes all processors of a model into one file.
    whole = processor(tmp_path, {"image_processor": VIT, "processor_class": "X"}, WHOLE_FILE)
    assert whole == plain
    with pytest.raises(UnsupportedModelError, match="'BeitImageProcessor'; silmu knows ViTImage"):
        processor(tmp_path, {"image_processor_type": "BeitImageProcessor"})


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"image_processor_type": None}, InvalidModelError, "image_processor_type None"),
        ({"image_processor_type": 7}, InvalidModelError, "image_processor_type 7"),
        ({"size": 0}, InvalidModelError, "size 0"),
        ({"size": -3}, InvalidModelError, "from 1 to 4,096"),
        ({"size": 10**9}, InvalidModelError, "from 1 to 4,096"),
        ({"size": 7.5}, InvalidModelError, "size 7.5"),
        ({"size": True}, InvalidModelError, "size True"),
        ({"size": "224"}, InvalidModelError, "size '224'"),
        ({"size": {"shortest_edge": 16}}, InvalidModelError, "{height, width}, each"),
        ({"size": {"height": 16}}, InvalidModelError, "{height, width}, each"),
        ({"size": [1, 2, 3]}, InvalidModelError, "size"),
        ({"resample": 9}, InvalidModelError, "resample 9"),
        ({"resample": "bilinear"}, InvalidModelError, "filters from 0 to 5"),
        ({"do_resize": "yes"}, InvalidModelError, "do_resize 'yes'"),
        ({"do_resize": False}, UnsupportedModelError, "size of its own"),
        ({"image_mean": [0.5]}, InvalidModelError, "or 3 of them"),
        ({"image_mean": [0.5, 0.5, "x"]}, InvalidModelError, "image_mean"),
        ({"image_std": [0.5, 0, 0.5]}, InvalidModelError, "image_std of 0"),
        ({"image_std": [[0.5] * 3] * 3}, InvalidModelError, "image_std"),
        ({"rescale_factor": "1/255"}, InvalidModelError, "rescale_factor"),
        ({"silmu_background": "red"}, InvalidModelError, "it may be white"),
    ],
)
def test_what_no_processor_holds(
    changes: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as raised:
        processor(tmp_path, VIT | changes)
    assert words in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "changes", "error"),
    [
        ("convnext", {"size": {"height": 9, "width": 9}}, InvalidModelError),
        ("convnext", {"crop_pct": 0}, InvalidModelError),
        ("convnext", {"crop_pct": 1e-9}, InvalidModelError),
        ("convnext", {"crop_pct": 2}, InvalidModelError),
        ("convnext", {"do_resize": False}, UnsupportedModelError),
        ("clip", {"do_center_crop": False}, UnsupportedModelError),
        ("clip", {"crop_size": {"shortest_edge": 9}}, InvalidModelError),
        ("clip", {"size": {"longest_edge": 9}}, InvalidModelError),
        ("clip", {"image_processor": 3}, InvalidModelError),
    ],
)
def test_what_no_processor_of_its_type_holds(
    settings: str, changes: dict[str, Any], error: type[Exception], tmp_path: Path
) -> None:
    with pytest.raises(error):
        processor(tmp_path, GOLDEN["settings"][settings] | changes)


def test_a_folder_without_a_processor(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=FILE):
        ImageProcessor.open(Folder(tmp_path, "a model"))


# ── where pictures come from ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "given",
    [
        str(PICTURES / "wide.png"),
        PICTURES / "wide.png",
        BYTES,
        bytearray(BYTES),
        memoryview(BYTES),
        TEXT,
        "\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76)) + "\n",
        TEXT.replace("A", "A ", 9),
        TEXT.replace("+", "-").replace("/", "_"),
        TEXT.rstrip("="),
        "data:image/png;base64," + TEXT,
        "data:;base64," + TEXT,
        "DATA:image/jpeg;base64," + TEXT,
        "data:image/png;charset=utf-8;base64," + TEXT,
        plain("wide.png"),
        np.asarray(plain("wide.png")),
        np.asarray(plain("wide.png"))[::-1][::-1],
        np.asfortranarray(plain("wide.png")),
        np.dstack([np.asarray(plain("wide.png")), np.zeros((40, 61), np.uint8)]),
    ],
    ids=lambda given: type(given).__name__,
)
def test_one_picture_in_every_form(given: Any) -> None:
    np.testing.assert_array_equal(array_of(given), np.asarray(plain("wide.png")))


def test_gray_arrays() -> None:
    gray = np.arange(12, dtype=np.uint8).reshape(3, 4)
    for given in (gray, gray[:, :, None]):
        np.testing.assert_array_equal(array_of(given), np.dstack([gray] * 3))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("nowhere.png", "no file that there is"),
        ("photos/cat", "no file that there is"),
        ("", "empty text"),
        (Path("nowhere.png"), "does not exist"),
        (PICTURES, "but a folder"),
        (str(PICTURES), "but a folder"),
        ("ftp://example.org/a.png", "by http and https only"),
        ("file:///etc/hostname", "by http and https only"),
        ("data:image/png," + TEXT, "not in base64"),
        ("data:image/png;base64", "not in base64"),
        ("data:image/png;base64,", "0 bytes"),
        ("data:image/png;base64,????", "no base64"),
        (TEXT[:-3] + "*", "no base64"),
        ("a\0b", "no file that there is"),
        ("x" * 5000, "no picture"),
        (b"", "0 bytes"),
        (None, "NoneType"),
        (3, "int"),
        ({"url": "x"}, "dict"),
        (np.zeros((2, 2)), "array of float64"),
        (np.full((2, 2), np.nan), "array of float64"),
        (np.zeros((2, 2), np.int64), "array of int64"),
        (np.array([["a", None]], object), "array of object"),
        (np.zeros((3, 20, 30), np.uint8), "transpose(1, 2, 0)"),
        (np.zeros((20, 30, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((0, 3), np.uint8), "shape (0, 3)"),
        (np.zeros((0, 20, 30, 3), np.uint8), "list(arrays)"),
        (np.zeros(7, np.uint8), "shape (7,)"),
    ],
)
def test_what_is_no_picture(given: Any, words: str) -> None:
    with pytest.raises(InputError) as raised:
        load_image(given)
    assert words in str(raised.value)


def test_the_callers_picture_stays_as_it_is() -> None:
    for name in ("palette-alpha.png", "turned-6.jpg", "wide.png"):
        own = plain(name)
        own.load()
        before = own.tobytes(), own.mode, dict(own.info), own.size
        for background in (None, "white"):
            load_image(own, background=background)
        assert (own.tobytes(), own.mode, dict(own.info), own.size) == before


# ── how pixels are read ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_as_the_camera_was(turn: int) -> None:
    path = PICTURES / f"turned-{turn}.jpg"
    expected = np.asarray(ImageOps.exif_transpose(plain(path.name)))
    for background in (None, "white"):
        found = array_of(path, background=background)
        np.testing.assert_array_equal(found, expected)
    assert found.shape[:2] == ((34, 22) if turn > 4 else (22, 34))
    again = load_image(load_image(path))
    np.testing.assert_array_equal(np.asarray(again), expected)
    assert not again.getexif()


def test_broken_exif_is_passed_over() -> None:
    exif = Image.Exif()
    exif[274] = 6
    held = exif.tobytes()
    own = Image.fromarray(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
    profiles = [b"MM\0\0", held.replace(b"MM\0*", b"MM\1*"), held[:12], held[:20]]
    files = [encoded(own, "PNG", exif=one) for one in profiles]
    for text in ("\nexif\n 4\nzz", "\nexif\n", "exif"):
        info = PngInfo()
        info.add_text("Raw profile type exif", text)
        files.append(encoded(own, "PNG", pnginfo=info))
    broken = 0
    for data in files:
        try:
            Image.open(io.BytesIO(data)).getexif()
        except Exception:
            broken += 1
        np.testing.assert_array_equal(array_of(data), np.asarray(own))
    assert broken > 3


def test_alpha_is_dropped_or_laid_on_white() -> None:
    for name in ("alpha.png", "alpha.webp", "gray-alpha.png", "palette-alpha.png"):
        wide = np.asarray(plain(name).convert("RGBA")).astype(int)
        colour, alpha = wide[..., :3], wide[..., 3:]
        assert alpha.min() < 100
        np.testing.assert_array_equal(array_of(PICTURES / name), colour)
        on_white = (colour * alpha + 255 * (255 - alpha)) / 255
        found = array_of(PICTURES / name, background="white")
        assert abs(found - on_white).max() <= 1
    one = array_of(PICTURES / "palette-one.png", background="white")
    hidden = np.asarray(plain("palette-one.png")) == 3
    assert hidden.any()
    assert (one[hidden] == 255).all()


def test_sixteen_bits() -> None:
    deep = np.asarray(plain("deep.png"))
    assert deep.max() > 60_000
    for name in ("deep.png", "deep.tif"):
        found = array_of(PICTURES / name, background="white")
        np.testing.assert_array_equal(found, np.dstack([deep >> 8] * 3))


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_of_32_bits_have_no_white(mode: str) -> None:
    image = Image.new(mode, (4, 4), 200)
    assert array_of(image).max() == 200
    with pytest.raises(InputError, match="32 bits"):
        load_image(image, background="white")


def test_the_first_of_several_is_read() -> None:
    for name in ("moving.gif", "pages.tif"):
        data = (PICTURES / name).read_bytes()
        assert facts(data, name).frames == 2
        first = np.asarray(plain(name).convert("RGB"))
        np.testing.assert_array_equal(array_of(PICTURES / name), first)


def test_facts_are_told_by_content() -> None:
    found = {path.name: facts(path.read_bytes(), path.name) for path in PICTURES.iterdir()}
    assert {one.format for one in found.values()} == {"JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"}
    wide = found["wide.png"]
    assert wide == Facts("PNG", "RGB", width=61, height=40, frames=1)
    turned = found["turned-6.jpg"]
    assert (turned.width, turned.height) == (34, 22)


def test_limits() -> None:
    large = encoded(Image.new("1", (10_000, 5001)))
    assert MAX_PIXELS < 10_000 * 5001
    for read in (facts, open_image):
        with pytest.raises(InputError, match="10,000 x 5,001 pixels; at most 50,000,000"):
            read(large, "a picture")
    with pytest.raises(InputError, match="bytes; at most 100,000,000"):
        load_image("A" * (MAX_BYTES + 4))


def test_what_else_is_called_a_picture() -> None:
    for data, words in (
        (b"%PDF-1.7 ...", "is a PDF"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG"),
        (b"<!doctype html><html>", "web page"),
        (b"PK\x03\x04" + bytes(40), "zip archive"),
        (b"hello", "no picture"),
    ):
        with pytest.raises(InputError, match=words) as raised:
            open_image(data, "cat.png")
        assert "JPEG, PNG, WEBP" in str(raised.value)


def test_threads_open_pictures_at_the_same_time() -> None:
    expected = {path: array_of(path) for path in PICTURES.iterdir()}
    wrong: list[Path] = []

    def read() -> None:
        for path, pixels in expected.items():
            if not np.array_equal(array_of(path), pixels):
                wrong.append(path)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# ── addresses ──────────────────────────────────────────────────────────────────────────────────


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/drip":
            self.drip()
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/wide.png")
        elif self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
        elif self.path == "/round":
            self.send_response(302)
            self.send_header("Location", "/round")
        elif self.path == "/none":
            self.send_response(404)
        else:
            self.send_response(200)
        self.end_headers()
        if self.path == "/wide.png":
            self.wfile.write(BYTES)
        elif self.path == "/page":
            self.wfile.write(b"<html>no</html>")
        elif self.path == "/slow":
            for _ in range(20):
                self.wfile.write(b"x")
                self.wfile.flush()
                if _Site.stop.wait(0.1):
                    break

    def drip(self) -> None:
        """A header of many seconds, of which no byte is waited for long."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
        for _ in range(160):
            try:
                self.wfile.write(b"x")
            except OSError:
                _Site.left.set()
                return
            if _Site.stop.wait(0.05):
                return

    stop, left = threading.Event(), threading.Event()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def _serving() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        _Site.stop.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.enable_socket
@pytest.mark.usefixtures("socket_enabled")
def test_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with _serving() as site:
        for path in ("/wide.png", "/moved"):
            np.testing.assert_array_equal(array_of(site + path, timeout=20), array_of(BYTES))
        for path, words in (
            ("/none", "the server answers 404"),
            ("/page", "is a web page"),
            ("/away", "cannot be had"),
            ("/round", "cannot be had"),
            ("/empty", "0 bytes"),
        ):
            with pytest.raises(InputError, match=words):
                load_image(site + path, timeout=20)
        with pytest.raises(InputError, match=r"longer than 0\.3 seconds"):
            load_image(site + "/slow", timeout=0.3)
        with pytest.raises(InputError, match=r"longer than 0\.3 seconds"):
            load_image(site + "/drip", timeout=0.3)
        assert _Site.left.wait(8)  # nobody reads on
    with pytest.raises(InputError, match="cannot be had"):
        load_image(site + "/wide.png", timeout=5)  # nobody is there any more


@pytest.mark.parametrize("timeout", [0, -1, "3", True, float("nan")])
def test_a_timeout_is_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(UsageError, match="timeout"):
        load_image("http://127.0.0.1:9/x.png", timeout=timeout)


def test_pillow_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    from silmu import extras
    from silmu.errors import MissingExtraError
    from silmu.runtime import image

    version: Callable[[str], str | None] = lambda name: None  # noqa: E731
    monkeypatch.setattr(extras, "version", version)
    monkeypatch.setitem(sys.modules, "PIL", None)
    image._ready.cache_clear()
    with pytest.raises(MissingExtraError, match="pillow") as raised:
        load_image(BYTES)
    assert "silmu[image]" in str(raised.value)
