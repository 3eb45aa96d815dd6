"""What the loop trains where examples are pictures, and the model folder of it."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from silmu import store
from silmu.networks.images import ImageNetwork
from silmu.steps.prepare.images import ImageFeatures, features, processor_of
from silmu.steps.train import augment, export, served, served_images
from silmu.steps.train.augment import Augmentation
from silmu.steps.train.batches import derive
from silmu.steps.train.examples import ExamplesObjective
from silmu.steps.train.outcome import calibrated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared

HEAD = "image-classification"
AT_ONCE = 64
"""Pictures that are validated at once."""
AUGMENTED = "augmented.png"
SHOWN = 8
"""How many training pictures AUGMENTED shows, each with a few of its changes."""


class ImageObjective(ExamplesObjective):
    """A network, and the pictures of a prepared data set.

    Args:
        network: called with `pixel_values` (rows, channels, height, width); gives logits
            (rows, outputs), or an object that has them.
        prepared: whose training split is learnt and whose validation split decides, by the loss: of
            few pictures it tells sooner than the share of right answers what is best.
        settings: of `Augmentation`, `mixing`, `class_weights` and `label_smoothing`.
    """

    train: ImageFeatures
    validation: ImageFeatures

    def __init__(self, network: nn.Module, prepared: Prepared, settings: Mapping[str, Any]) -> None:
        splits = (features(prepared, split) for split in ("train", "validation"))
        super().__init__(network, prepared, settings, *splits)
        self.augmentation = Augmentation.of(settings)
        self.mixing = float(settings["mixing"])
        processor = processor_of(prepared)
        self._factor = torch.tensor([processor.scale / one for one in processor.std])
        self._shift = torch.tensor(
            [-mean / one for mean, one in zip(processor.mean, processor.std, strict=True)]
        )

    def batch(self, indices: NDArray[np.int64], seed: int) -> dict[str, Tensor]:
        """Pixels as they are shown this time, and targets."""
        if len(indices) == 1:
            # Batch normalisation knows nothing of one picture whose maps are a single number.
            indices = np.repeat(indices, 2)
        pixels = self.train.pixels[indices]
        for row, index in enumerate(indices.tolist()):
            pixels[row] = self.augmentation.changed(pixels[row], derive(seed, index))
        arrays = {"pixels": pixels, "targets": self.targets(self.train, indices)}
        if self.mixing:
            draws = np.random.default_rng(derive(seed, "mixing", *indices[:1].tolist()))
            share = np.float32(draws.beta(self.mixing, self.mixing))
            arrays["share"] = np.array([max(share, 1 - share)])
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def loss(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The sum of losses, and their weight.

        Where pictures are mixed, each is laid on another of its batch, and has a share of that
        one's label too (mixup, Zhang et al. 2017, https://arxiv.org/abs/1710.09412).
        """
        x, targets = self.inputs(batch["pixels"]), batch["targets"]
        if "share" not in batch:
            return self._loss(self.logits(x), targets)
        share = batch["share"][0]
        logits = self.logits(x * share + x.flip(0) * (1 - share))
        own, other = self._loss(logits, targets), self._loss(logits, targets.flip(0))
        total, weight = (share * a + (1 - share) * b for a, b in zip(own, other, strict=True))
        return total, weight

    def inputs(self, pixels: Tensor) -> Tensor:
        """(rows, height, width, channels) of uint8 as (rows, channels, height, width), normalised.

        In memory they stay as they are, channels last, which convolutions on CPUs are quicker with.
        """
        found = pixels.float() * self._factor.to(pixels.device) + self._shift.to(pixels.device)
        return found.permute(0, 3, 1, 2)

    def logits(self, x: Tensor) -> Tensor:
        """(rows, outputs), in fp32."""
        found = self.network(pixel_values=x)
        return (found if isinstance(found, Tensor) else found.logits).float()

    def validation_logits(self) -> tuple[NDArray[np.float32], NDArray[Any]]:
        """(rows, outputs) for the validation split, and its targets as training sees them."""
        count = len(self.validation)
        parts: list[NDArray[np.float32]] = []
        for start in range(0, count, AT_ONCE):
            pixels = torch.from_numpy(np.array(self.validation.pixels[start : start + AT_ONCE]))
            parts.append(self.logits(self.inputs(pixels.to(self.device))).cpu().numpy())
        return np.concatenate(parts), self.targets(self.validation, np.arange(count))


def leave_samples(prepared: Prepared, settings: Mapping[str, Any], folder: Path) -> None:
    """Writes AUGMENTED into the folder of a training: a few pictures, and how they are shown."""
    file = BytesIO()
    augment.sheet(augment.samples(prepared, settings, SHOWN, settings["seed"])).save(file, "PNG")
    store.write_file(folder / AUGMENTED, file.getvalue())


def write_model(
    target: Path,
    objective: ImageObjective,
    prepared: Prepared,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained network as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, preprocessor_config.json, processor.json,
    schema.json and onnx/model.onnx. A network of transformers' own opens there too. A number comes
    out in the unit of its column.

    Args:
        target: must not exist.
        objective: whose network holds the best weights.
        prepared: what it was trained on.
        meta: for the manifest: what the model was made from.

    Raises:
        UnsupportedModelError: silmu has no graph for the network.
        InvalidModelError: graph and network differ; nothing is left.
    """
    divisor, thresholds = calibrated(objective)
    factor, shift = 1 / divisor, 0.0
    if objective.scale is not None:
        factor, shift = float(objective.scale.deviation), float(objective.scale.mean)
    network = copy.deepcopy(objective.network).cpu().float().eval()
    if isinstance(network, ImageNetwork):
        network.get_buffer("scale").fill_(factor)
        network.get_buffer("shift").fill_(shift)
    else:
        export.rescale(network, len(prepared.labels) or 1, factor, shift)

    def logits(feeds: dict[str, Any]) -> Any:
        with torch.inference_mode():
            answer = network(**{name: torch.from_numpy(value) for name, value in feeds.items()})
        return (answer if isinstance(answer, Tensor) else answer.logits).numpy()

    with store.new_folder(target, meta={"task": HEAD, **(meta or {})}) as writer:
        export.write_network(writer, network, served.labels_of(prepared))
        served.finish(
            *(writer, Path(target).name, HEAD, prepared, thresholds),
            lambda pipe: served_images.compare(pipe, logits, prepared),
        )
    return Path(target)
