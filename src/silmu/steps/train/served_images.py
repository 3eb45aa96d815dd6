"""Whether the graph of a model for pictures answers as what was trained. Torch is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.runtime.image import open_image
from silmu.steps.collect.pictures import Pictures
from silmu.steps.prepare.images import features
from silmu.steps.train import served

if TYPE_CHECKING:
    from silmu.steps.prepare.prepared import Prepared

NUM_PICTURES = 32
"""How many pictures are read from their files to be compared with what training saw."""


def compare(pipe: Any, network: served.Network, prepared: Prepared) -> None:
    """Refuses where a pipeline and a network differ.

    Raises:
        InvalidModelError: a picture is read in another way than in training, or the logits differ
            by more than 1e-4, or another label is first.
    """
    seen, pictures = features(prepared, "validation"), Pictures(prepared.dataset)
    processor = pipe.image_processor
    some = np.unique(np.linspace(0, len(seen) - 1, NUM_PICTURES).astype(int))
    for place in some.tolist():
        row = int(seen.rows[place])
        name = pictures.name(row)
        image = open_image(pictures.data(row), name, background=processor.background)
        if not np.array_equal(processor.pixels(image), seen.pixels[place]):
            raise served.differs(f"it reads `{name}` in another way than in training")
    random = np.random.default_rng(0)
    drawn = random.integers(0, 256, (NUM_PICTURES, *seen.pixels.shape[1:]), np.uint8)
    pixels = processor.normalised(np.concatenate([seen.pixels[some], drawn]))
    for start, end in ((0, 1), (0, 7), (7, len(pixels))):
        feeds = {"pixel_values": pixels[start:end]}
        places = [f"picture {i}" for i in range(start, end)]
        served.compare_logits(pipe.model(**feeds)["logits"], network(feeds), places)
