"""Networks for pictures: which one, from nothing or by fine-tuning, and with what settings."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import ModelNotFoundError, UsageError
from silmu.steps.design import backbones, image_encoder
from silmu.steps.design.plan import FOR_IMAGES, PROBE, probed

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

    from silmu.runtime.folder import Folder
    from silmu.steps.prepare.prepared import Prepared

HEAD, VECTORS = "image-classification", "image-feature-extraction"

ENCODERS = ("facebook/dinov2-small", "google/vit-base-patch16-224-in21k")
"""Encoders of pictures that `probe` reads with, the first that is on this machine."""

OWN = ("silmu-image",)
"""Networks of silmu's own that a probe may read with."""

FROM_NOTHING: dict[str, Any] = {
    "epochs": 20,
    "batch_size": 64,
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "warmup": 0.15,
    "schedule": "cosine",
    "average": None,
    "patience": None,
    "evaluations": 1,
    "label_smoothing": 0.1,
    "bucket": False,
    "crop": 0.1,
    "rotate": 10.0,
    "colour": 0.2,
    "mixing": 0.0,
}
"""How a network from nothing is trained unless settings say otherwise."""

FINE_TUNING: dict[str, Any] = FROM_NOTHING | {
    "epochs": 5,
    "batch_size": 32,
    "learning_rate": 5e-5,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "dropout": None,
    "hidden_size": None,
    "num_layers": None,
}
"""How a model is fine-tuned unless settings say otherwise."""

OF_KIND: dict[str, dict[str, Any]] = {
    "perceptron": {
        **{"hidden_size": 1, "num_layers": 1, "dropout": 0.0, "learning_rate": 1e-3},
        # A template for each label holds no picture that is moved.
        **{"crop": 0.0, "rotate": 0.0, "colour": 0.0, "label_smoothing": 0.0},
    },
    "mlp": {"hidden_size": 512, "num_layers": 2, "dropout": 0.3, "learning_rate": 1e-3},
    "cnn": {"hidden_size": 32, "dropout": 0.4},
    "resnet": {"hidden_size": 32, "num_layers": 2, "dropout": 0.2},
}
"""What of it is special to a network; a perceptron has nothing to be shaped."""

LEAST_STEPS, MOST_EPOCHS = 1000, 100
"""A network from nothing has learnt too little after fewer steps, however few the pictures are."""

LOOKED_AT, SIDE = 1000, 16
"""Of so many pictures, made so small, it is seen whether left and right may be changed."""

AS_WELL = 0.9
"""So much of their labels mirrored pictures must keep for that, by their nearest neighbours."""


def is_kind(network: str) -> bool:
    """Whether a name is one of the networks from nothing."""
    return network in FOR_IMAGES


def check(network: str) -> None:
    """Refuses what cannot be built, before any work is done.

    Raises:
        ModelNotFoundError, UnsupportedModelError: as `backbone`, and as `choose_probe`.
    """
    if network == PROBE:
        choose_probe()
    elif probed(network) is not None:
        image_encoder.check(backbone(network))
    elif network != "auto" and not is_kind(network):
        backbone(network)


def backbone(network: str) -> Folder:
    """The folder of a model to fine-tune, or of that which a probe reads with.

    Raises:
        ModelNotFoundError, UnsupportedModelError: as `backbones.backbone`.
    """
    if probed(network) is None:
        return backbones.backbone(network, HEAD, FOR_IMAGES)
    return backbones.backbone(network, VECTORS, FOR_IMAGES, OWN)


def choose_probe() -> tuple[str, str]:
    """What `probe` means for pictures, and the sentence that says why.

    Raises:
        ModelNotFoundError: none of the encoders that are known is on this machine.
    """
    encoder = backbones.here(ENCODERS)
    if encoder is None:
        raise ModelNotFoundError(
            f"none of the encoders that `{PROBE}` reads pictures with is on this machine: "
            f"{', '.join(ENCODERS)}",
            hint=f"`silmu pull {ENCODERS[0]}` brings one; --network {PROBE}:MODEL names another, "
            "which may be a network for pictures that silmu trained",
        )
    return f"{PROBE}:{encoder}", f"{encoder} is here"


def decided(
    network: str,
    given: Mapping[str, Any],
    num_examples: int | None = None,
    image_size: tuple[int, int] = (28, 28),
) -> dict[str, Any]:
    """The settings of training for a network: those that are given, defaults for the rest.

    Args:
        network: one of FOR_IMAGES, or a model.
        given: by name; what is None is decided here.
        num_examples: of the training split; few are gone through more often.
        image_size: (height, width) of what the network reads.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if not is_kind(network):
        if shaped := [name for name in ("hidden_size", "num_layers", "dropout") if name in chosen]:
            raise UsageError(
                f"{', '.join(shaped)} is set, and `{network}` has its shape already",
                hint=f"leave it out, or learn from nothing: {', '.join(FOR_IMAGES)}",
            )
        return {**given, **FINE_TUNING, **chosen}
    from silmu.networks import images

    depth = {"num_layers": images.depth(image_size)} if network == "cnn" else {}
    found = {**given, **FROM_NOTHING, **OF_KIND[network], **depth, **chosen}
    if num_examples and "epochs" not in chosen:
        enough = math.ceil(LEAST_STEPS * found["batch_size"] / num_examples)
        found["epochs"] = min(max(found["epochs"], enough), MOST_EPOCHS)
    return found


def may_flip(pixels: NDArray[np.uint8], targets: NDArray[Any]) -> bool:
    """Whether mirrored pictures look like others of their label, as most photographs do.

    A mirrored digit looks like none, a mirrored dog like a dog. It is told by the nearest of other
    pictures: unless mirrored ones clearly find their label less often than those that are not.

    Args:
        pixels: (rows, height, width, channels) of the training split.
        targets: (rows,) or (rows, labels) of it.
    """
    some = np.unique(np.linspace(0, len(pixels) - 1, LOOKED_AT).astype(int))
    seen = pixels[some].astype(np.float32).mean(axis=3)
    labels = targets[some]

    def small(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """Means of neighbours, so that nothing hangs on single pixels, nor on contrast."""
        for axis in (1, 2):
            side = pictures.shape[axis]
            ends = np.linspace(0, side, min(side, SIDE) + 1).astype(int)[:-1]
            pictures = np.add.reduceat(pictures, ends, axis=axis)
        flat = pictures.reshape(len(pictures), -1)
        flat = flat - flat.mean(axis=1, keepdims=True)
        return flat / (np.linalg.norm(flat, axis=1, keepdims=True) + 1e-6)

    others = small(seen)

    def kept(asked: NDArray[np.float32]) -> NDArray[np.float64]:
        likeness = asked @ others.T
        np.fill_diagonal(likeness, -np.inf)  # not itself
        same: NDArray[np.bool_] = labels[likeness.argmax(axis=1)] == labels
        return same.reshape(len(some), -1).mean(axis=1)

    plain = kept(others)
    lost = plain - kept(small(seen[:, :, ::-1]))
    chance = 2 * float(lost.std()) / math.sqrt(len(lost))
    return float(lost.mean()) <= max((1 - AS_WELL) * float(plain.mean()), chance)


def build(network: str, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    """The untrained network, the same for the same seed."""
    import torch

    from silmu.networks import products

    torch.manual_seed(settings["seed"])
    if is_kind(network):
        built = _from_nothing(network, prepared, settings)
    else:
        built = _pretrained(backbone(network), prepared)
    backbones.begin_at_frequencies(built, prepared)
    products.hasten(built)
    # Convolutions on CPUs are quicker where the numbers of a place lie side by side.
    return built.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


def _from_nothing(network: str, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    from silmu.networks.images import ImageNetwork, ImageNetworkConfig
    from silmu.steps.prepare.images import processor_of

    processor = processor_of(prepared)
    values: dict[str, Any] = {
        **settings,
        "kind": network,
        "image_size": processor.size,
        "num_channels": processor.channels,
        "num_outputs": len(prepared.labels) or 1,
    }
    return ImageNetwork(ImageNetworkConfig.from_dict(values))


def _pretrained(folder: Folder, prepared: Prepared) -> nn.Module:
    import transformers
    from transformers import AutoConfig, AutoModelForImageClassification

    config = AutoConfig.from_pretrained(folder.path, **backbones.keys_of_labels(prepared))
    transformers.logging.set_verbosity_error()  # that the head is new is known here
    transformers.logging.disable_progress_bar()
    return AutoModelForImageClassification.from_pretrained(
        folder.path,
        config=config,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        dtype="float32",
    )
