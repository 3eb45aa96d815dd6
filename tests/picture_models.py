"""Networks of silmu's for grey pictures, with weights that were thought of, and what URLs hold."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors.numpy import save_file

from silmu.runtime.image_processor import ImageProcessor


def write(
    folder: Path,
    tensors: dict[str, NDArray[Any]],
    labels: list[str],
    *,
    mean: float = 0.5,
    deviation: float = 0.25,
    **config: Any,
) -> str:
    """A model folder: `kind`, `image_size`, `hidden_size` and `num_layers` are in `config`."""
    folder.mkdir()
    ends = {"scale": np.ones(len(labels)), "shift": np.zeros(len(labels))}
    arrays = {**tensors, **ends}
    save_file(
        {name: np.ascontiguousarray(one, np.float32) for name, one in arrays.items()},
        folder / "model.safetensors",
    )
    about = {
        "model_type": "silmu-image",
        "architectures": ["SilmuForImageClassification"],
        "num_channels": 1,
        "num_outputs": len(labels),
        "id2label": {str(i): label for i, label in enumerate(labels)},
    }
    (folder / "config.json").write_text(json.dumps({**about, **config}))
    processor = ImageProcessor.fitted(tuple(config["image_size"]), 1, [mean], [deviation])
    (folder / "preprocessor_config.json").write_bytes(processor.to_bytes())
    return str(folder)


def pixels_of(url: str) -> NDArray[np.uint8]:
    """The picture that a page carries within itself."""
    kind, _, data = url.partition(",")
    assert kind in ("data:image/png;base64", "data:image/jpeg;base64")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))
