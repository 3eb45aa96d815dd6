"""Pictures as the arrays that a network reads: preprocessor_config.json of a model folder.

Each type of transformers 4.57 resizes in its own way, by PIL, and gives the same numbers as here;
names with `Fast` at the end, which compute with torch there, are taken for those without.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast, final

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime.folder import REMOTE_CODE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from silmu.runtime.folder import Folder

FILE = "preprocessor_config.json"
WHOLE_FILE = "processor_config.json"
"""What transformers 5 writes instead: the same, under the key `image_processor`."""

BACKGROUND = "silmu_background"
WHITE = "white"

MAX_SIDE = 4096
"""How many pixels of a side are believed."""

WARPED_FROM = 384
"""The size from which ConvNext's processor gives up the shape of a picture."""

MAX_RESIZED = 1 << 22
"""How many pixels a picture is resized to as a whole. One that is a hundred times longer than it is
wide is resized where it is cut out of."""

_BILINEAR, _BICUBIC = 2, 3
_HALF = {"image_mean": 0.5, "image_std": 0.5}
_CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}

# What each type takes for what a file leaves out. Those with a crop_size crop.
_TYPES: dict[str, dict[str, Any]] = {
    "ViT": {"size": 224, "resample": _BILINEAR, **_HALF},
    "DeiT": {"size": 256, "crop_size": 224, "resample": _BICUBIC, **_HALF},
    "ConvNext": {"size": 384, "crop_pct": 224 / 256, "resample": _BILINEAR, **_HALF},
    "Bit": {"size": 224, "crop_size": 224, "resample": _BICUBIC, **_CLIP},
    "CLIP": {"size": 224, "crop_size": 224, "resample": _BICUBIC, **_CLIP},
    "Siglip": {"size": 224, "resample": _BICUBIC, **_HALF},
    "MobileNetV2": {"size": 256, "crop_size": 224, "resample": _BILINEAR, **_HALF},
}
_BY_EDGE = ("ConvNext", "Bit", "CLIP", "MobileNetV2")
"""Types whose size, given as one number, is that of the shorter side."""


@final
@dataclass(frozen=True)
class ImageProcessor:
    """What becomes of a picture before a network reads it.

    >>> processor = ImageProcessor.fitted((28, 28), 1, [0.13], [0.31])
    >>> processor.normalised(np.zeros((5, 28, 28, 1), np.uint8)).shape
    (5, 1, 28, 28)

    Attributes:
        size: height and width of what the network reads, in pixels.
        channels: 3, or 1 for gray.
        mean, std: of each channel, in units of `scale`: what is subtracted, and divided by.
        background: what lies behind transparent pixels, as `runtime.image.open_image` takes it.
        scale: what pixels from 0 to 255 are multiplied by before.
        resample: PIL's number of the filter.
        squash: the height and width that a picture is resized to, whatever its shape.
        edge: or the length that its shorter side is resized to, its shape kept.
        values: what the file holds.
    """

    size: tuple[int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    background: str | None
    scale: float
    resample: int
    squash: tuple[int, int] | None
    edge: int | None
    values: Mapping[str, Any] = field(repr=False)

    @classmethod
    def open(cls, folder: Folder) -> ImageProcessor:
        """The image processor of a model folder.

        Raises:
            ModelNotFoundError: it has none.
            InvalidModelError: the file is broken.
            UnsupportedModelError: it is of a type that silmu does not know, or lets pictures have
                sizes of their own.
        """
        if folder.has(FILE) or not folder.has(WHOLE_FILE):
            name, values = FILE, folder.json(FILE)
        else:
            name, values = WHOLE_FILE, folder.json(WHOLE_FILE)
        inner: Any = values.get("image_processor", values)
        what = f"{name} of `{folder.name}`"
        if not isinstance(inner, dict):
            raise InvalidModelError(f"{what} has image_processor {inner!r:.80}; it is no object")
        processor = _read(cast("dict[str, Any]", inner), what)
        if processor.background is not None and folder.has("config.json"):
            channels = folder.config.get("num_channels", processor.channels)
            if channels != processor.channels:
                raise InvalidModelError(
                    f"{what} has {processor.channels} channels, and config.json {channels!r}"
                )
        return processor

    @classmethod
    def fitted(
        cls, size: tuple[int, int], channels: int, mean: Sequence[float], std: Sequence[float]
    ) -> ImageProcessor:
        """One for a network of our own: pictures are squashed to the size of all, on white.

        Args:
            size: height and width.
            channels: 3, or 1 for gray.
            mean, std: of each channel, of pixels from 0 to 1.
        """
        values = {
            "image_processor_type": "ViTImageProcessor",
            "do_resize": True,
            "size": {"height": size[0], "width": size[1]},
            "resample": _BILINEAR,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [float(one) for one in mean][:channels],
            "image_std": [float(one) for one in std][:channels],
            BACKGROUND: WHITE,
        }
        return _read(values, "an image processor")

    def changed(self, options: Mapping[str, Any]) -> ImageProcessor:
        """The same with other values for keys of the file, such as `size`.

        Raises:
            InvalidModelError, UnsupportedModelError: as `open`.
        """
        return _read({**self.values, **options}, "the image processor, as changed,")

    def to_bytes(self) -> bytes:
        """What preprocessor_config.json holds."""
        kept = {key: value for key, value in self.values.items() if key not in REMOTE_CODE}
        return json.dumps(kept, ensure_ascii=False, indent=1).encode() + b"\n"

    def pixels(self, image: Image) -> NDArray[np.uint8]:
        """A picture resized and cropped: (height, width, channels), from 0 to 255.

        Args:
            image: as `runtime.image` opens it.
        """
        mode = "L" if self.channels == 1 else "RGB"
        image = self._resized(image if image.mode == mode else image.convert(mode))
        width, height = image.size
        if (height, width) != self.size:
            # Where the picture is smaller it is laid on black, which PIL does by itself.
            left, top = (width - self.size[1]) // 2, (height - self.size[0]) // 2
            image = image.crop((left, top, left + self.size[1], top + self.size[0]))
        return np.asarray(image, np.uint8).reshape(*self.size, self.channels)

    def normalised(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels (rows, height, width, channels) as numbers (rows, channels, height, width)."""
        rows, height, width, channels = pixels.shape
        numbers = np.empty((rows, channels, height, width), np.float32)
        for channel, table in enumerate(self._table):
            for row in range(rows):
                table.take(pixels[row, :, :, channel], out=numbers[row, channel], mode="clip")
        return numbers

    def arrays(self, images: Sequence[Image]) -> dict[str, NDArray[np.float32]]:
        """Pictures as what a network reads: `pixel_values`, (rows, channels, height, width)."""
        return {"pixel_values": self.normalised(np.stack([self.pixels(one) for one in images]))}

    @cached_property
    def _table(self) -> NDArray[np.float32]:
        """What each of the 256 values of a pixel becomes, by channel."""
        scaled = (np.arange(256) * self.scale).astype(np.float32)
        mean, std = (np.asarray(one, np.float32)[:, None] for one in (self.mean, self.std))
        return (scaled - mean) / std

    def _resized(self, image: Image) -> Image:
        if self.squash is not None:
            return image.resize((self.squash[1], self.squash[0]), self.resample)
        if self.edge is None:
            return image
        short, long = sorted(image.size)
        length = int(self.edge * long / short)
        tall = image.size[1] >= image.size[0]
        if self.edge * length <= MAX_RESIZED:
            size = (self.edge, length) if tall else (length, self.edge)
            return image.resize(size, self.resample)
        return self._window(image, length, tall=tall)

    def _window(self, image: Image, length: int, *, tall: bool) -> Image:
        """The middle of what a picture would be with a longer side of `length`.

        Which of the sides PIL resizes first depends on both, and it rounds in between. Here it is
        the width, so that a pixel may be off by one of its 256 steps.
        """
        edge = cast("int", self.edge)
        short, long = sorted(image.size)
        kept = min(self.size[0] if tall else self.size[1], length)
        start = (length - kept) // 2
        first, last = start * long / length, (start + kept) * long / length
        if not tall:
            image = image.resize((kept, short), self.resample, (first, 0, last, short))
            return image.resize((kept, edge), self.resample)
        reach = math.ceil(4 * max(1, short / edge))
        top, bottom = max(0, int(first) - reach), min(long, int(last) + reach)
        image = image.crop((0, top, short, bottom)).resize((edge, bottom - top), self.resample)
        return image.resize((edge, kept), self.resample, (0, first - top, edge, last - top))


def _read(given: Mapping[str, Any], what: str) -> ImageProcessor:
    """The processor that a file describes."""
    kind = _type(given, what)
    values = {**_TYPES[kind], **{key: one for key, one in given.items() if one is not None}}
    sides = _sides(values["size"], "size", what, by_edge=kind in _BY_EDGE)
    crops = "crop_size" in _TYPES[kind] and _flag(values, "do_center_crop", what)
    crop = _sides(values["crop_size"], "crop_size", what) if crops else None
    edge, squash = (sides, None) if isinstance(sides, int) else (None, sides)
    if kind == "ConvNext":
        edge, squash, crop = _of_convnext(sides, values["crop_pct"], what)
    if not _flag(values, "do_resize", what):
        edge = squash = None
        if kind == "ConvNext":
            crop = None
    size = crop or squash
    if not isinstance(size, tuple):
        raise UnsupportedModelError(
            f"{what} lets each picture have a size of its own",
            hint="silmu computes pictures of one size: set do_resize, and do_center_crop where "
            "`size` is a shortest_edge",
        )
    background: Any = values.get(BACKGROUND)
    if background not in (None, WHITE):
        raise InvalidModelError(f"{what} has {BACKGROUND} {background!r}; it may be {WHITE}")
    scale = _numbers(values.get("rescale_factor", 1 / 255), "rescale_factor", what)[0]
    channels = _channels(values["image_mean"]) if background else 3
    mean, std = (0.0,) * channels, (1.0,) * channels
    if _flag(values, "do_normalize", what):
        mean = _numbers(values["image_mean"], "image_mean", what, channels)
        std = _numbers(values["image_std"], "image_std", what, channels)
    if 0 in std:
        raise InvalidModelError(f"{what} has an image_std of 0, which nothing is divided by")
    resample = values["resample"]
    if type(resample) is not int or not 0 <= resample <= 5:
        raise InvalidModelError(f"{what} has resample {resample!r}; PIL has filters from 0 to 5")
    return ImageProcessor(
        size=size,
        channels=channels,
        mean=mean,
        std=std,
        background=background,
        scale=scale if _flag(values, "do_rescale", what) else 1.0,
        resample=resample,
        squash=squash,
        edge=edge,
        values=dict(given),
    )


def _type(values: Mapping[str, Any], what: str) -> str:
    """The type that a file names, by today's key or by that of feature extractors."""
    named: Any = values.get("image_processor_type") or values.get("feature_extractor_type")
    if not isinstance(named, str):
        raise InvalidModelError(
            f"{what} has image_processor_type {named!r}",
            hint="it must name a class, such as `ViTImageProcessor`",
        )
    kind = named.removesuffix("Fast").removesuffix("ImageProcessor")
    kind = kind.removesuffix("FeatureExtractor")
    if kind not in _TYPES:
        raise UnsupportedModelError(
            f"{what} is for {named!r}; silmu knows "
            f"{', '.join(f'{known}ImageProcessor' for known in _TYPES)}"
        )
    return kind


def _of_convnext(
    sides: int | tuple[int, int], share: Any, what: str
) -> tuple[int | None, tuple[int, int] | None, tuple[int, int] | None]:
    """Edge, squash and crop: small pictures are cut out of larger ones, large ones are squashed."""
    if not isinstance(sides, int):
        raise InvalidModelError(f"{what} has a size without shortest_edge, which ConvNext needs")
    if sides >= WARPED_FROM:
        return None, (sides, sides), None
    (part,) = _numbers(share, "crop_pct", what)
    if not 0 < part <= 1:
        raise InvalidModelError(f"{what} has crop_pct {part}; it is a share from 0 to 1")
    edge = int(sides / part)
    if edge > MAX_SIDE:
        raise InvalidModelError(f"{what} has crop_pct {part}: no picture is made that large")
    return edge, None, (sides, sides)


def _sides(given: Any, key: str, what: str, *, by_edge: bool = False) -> int | tuple[int, int]:
    """Height and width, or the length of the shorter side where `by_edge`."""
    found: list[Any] = []
    if isinstance(given, dict):
        named = cast("dict[str, Any]", given)
        if {*named} == {"height", "width"}:
            found = [named["height"], named["width"]]
        elif by_edge and "shortest_edge" in named and {*named} <= {"shortest_edge", "longest_edge"}:
            found = [named["shortest_edge"]]
    elif isinstance(given, list) and len(cast("list[Any]", given)) == 2:
        found = cast("list[Any]", given)
    elif given is not None:
        found = [given] if by_edge else [given, given]
    if not found or any(type(one) is not int or not 1 <= one <= MAX_SIDE for one in found):
        edge = ", or {shortest_edge}" if by_edge else ""
        raise InvalidModelError(
            f"{what} has {key} {given!r:.80}; it must be {{height, width}}{edge}, each from 1 to "
            f"{MAX_SIDE:,}"
        )
    return found[0] if len(found) == 1 else (found[0], found[1])


def _flag(values: Mapping[str, Any], key: str, what: str) -> bool:
    value = values.get(key, True)
    if not isinstance(value, bool):
        raise InvalidModelError(f"{what} has {key} {value!r:.80}; it must be true or false")
    return value


def _channels(mean: Any) -> int:
    """How many channels a processor of our own has: gray has one mean."""
    return 1 if isinstance(mean, list) and len(cast("list[Any]", mean)) == 1 else 3


def _numbers(given: Any, key: str, what: str, channels: int = 1) -> tuple[float, ...]:
    """As many numbers as there are channels, of which one may stand for all."""
    several = cast("list[Any]", given) if isinstance(given, list) else [given] * channels
    if len(several) != channels or any(
        isinstance(one, bool) or not isinstance(one, int | float) for one in several
    ):
        raise InvalidModelError(
            f"{what} has {key} {given!r:.80}; it must be a number"
            + (f", or {channels} of them" if channels > 1 else "")
        )
    return tuple(float(one) for one in several)
