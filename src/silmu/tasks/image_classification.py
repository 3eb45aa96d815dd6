"""Learn to sort pictures into labels: what is seen, several things at once, grades, numbers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from silmu import extras
from silmu.tasks._supervised import Supervised, SupervisedConfig

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design.encoders import Encoder
    from silmu.steps.design.plan import Design
    from silmu.steps.design.spaces import Space
    from silmu.steps.prepare.prepared import Prepared
    from silmu.steps.train.loop import Outcome


@dataclass(frozen=True, kw_only=True)
class ImageClassificationConfig(SupervisedConfig):
    """What can be set. `None` is decided by the network and the data, and then in run.toml."""

    # prepare
    labels: str = "auto"
    """`single`, `multiple` (several at once), `ordered` (grades), `number`, or `auto`."""
    order: str | None = None
    """The labels of `ordered` from first to last, with commas between; numbers need none."""
    near_duplicates: bool = True
    """Whether pictures that nearly equal an earlier one stay in its split."""
    image_size: int | None = None
    """Pixels of the longer side that a network from nothing reads."""

    # train
    crop: float | None = None
    """How far pictures are moved, and made larger or smaller, as a share of their sides."""
    rotate: float | None = None
    """By how many degrees they are turned, to either side."""
    flip: bool | None = None
    """Whether left and right are changed, every second time."""
    colour: float | None = None
    """How much brightness, contrast and saturation change, as a share."""
    mixing: float | None = None
    """How strongly pictures are laid on one another (mixup), such as 0.2; 0 for not at all."""

    def of_prepare(self) -> dict[str, Any]:
        """The settings of the prepare step."""
        names = ("labels", "validation", "test", "split", "near_duplicates", "image_size")
        own = {name: getattr(self, name) for name in names}
        order = None if self.order is None else tuple(self.order.split(","))
        return {**own, "order": order, "seed": self.split_seed}


@final
class ImageClassification(Supervised[ImageClassificationConfig]):
    """Pictures in, labels out.

    >>> import silmu
    >>> run = silmu.train("image-classification", data="pictures/")      # doctest: +SKIP
    """

    name = "image-classification"
    rows = "image"
    Config = ImageClassificationConfig
    patience_seconds = 900.0

    def check(self, *, trains: bool) -> None:
        """Refuses a network that is not there, and values that are out of range."""
        from silmu.steps.design import images, probe
        from silmu.steps.design.plan import probed
        from silmu.steps.prepare.settings import ImageSettings

        network = self.config.network
        ImageSettings.of(self.config.of_prepare())
        if probed(network) is not None:
            extras.require("image")  # which of what a probe needs is the rest
            probe.check_settings(self.config.to_dict(), type(self.config)().to_dict())
        images.check(network)
        if trains and probed(network) is None:
            from silmu.steps.design.cost import chosen_device
            from silmu.steps.train.augment import Augmentation
            from silmu.steps.train.settings import Training

            chosen_device(self.config.device)
            known = "resnet" if network == "auto" else network
            decided = images.decided(known, {**self.config.to_dict(), "dtype": "fp32"})
            Augmentation.of({**decided, "flip": False})
            Training.of(decided, fingerprint="")

    def network_of(self, dataset: Dataset) -> str:
        """The residual network, whatever the pictures; for a probe an encoder that is here."""
        from silmu.steps.design import images
        from silmu.steps.design.plan import PROBE

        if self.config.network != PROBE:
            return "resnet" if self.config.network == "auto" else self.config.network
        network, why = images.choose_probe()
        self.tell(f"prepare: network {network}: {why}")
        return network

    def read(self, dataset: Dataset, folder: Path) -> Prepared:
        """Pixels of one size: that of the model that reads them, or what suits the pictures."""
        from silmu.steps.design import images
        from silmu.steps.prepare import prepare_images

        network = self.config.network
        encoder = None if images.is_kind(network) else images.backbone(network).path
        settings = self.config.of_prepare()
        return prepare_images(dataset, folder, settings=settings, backbone=encoder)

    def encoder(self, network: str) -> Encoder[Any]:
        """The encoder of pictures that a probe names."""
        from silmu.steps.design import image_encoder, images

        return image_encoder.ImageEncoder(images.backbone(network), self.config.device)

    def decided(self, prepared: Prepared) -> dict[str, Any]:
        """All settings of training, by the network and the pictures."""
        from silmu.steps.design import images
        from silmu.steps.prepare.images import features, processor_of

        config, train = self.config, features(prepared, "train")
        size = processor_of(prepared).size
        found = images.decided(config.network, config.to_dict(), len(train), size)
        if found["flip"] is None and prepared.kind == "number":
            # Two targets are hardly ever equal, so the nearest pictures could not tell.
            found["flip"] = False
            self.tell("design: nothing is mirrored, for left may be another number than right")
        elif found["flip"] is None:
            found["flip"] = images.may_flip(train.pixels, train.targets)
            kept = "does" if found["flip"] else "does not"
            self.tell(f"design: a mirrored picture {kept} look like others of its label")
        return found

    def space(self, prepared: Prepared | None) -> Space:
        """What a search may change, which depends on the network."""
        from silmu.steps.design import images, spaces

        config = self.config
        count = prepared and prepared.counts["train"]
        known = "resnet" if config.network == "auto" else config.network
        return spaces.for_images(known, images.decided(known, config.to_dict(), count))

    def objective(self, network: str, prepared: Prepared, settings: Mapping[str, Any]) -> Any:
        """The untrained network with the pictures of training and validation."""
        from silmu.steps.design import images
        from silmu.steps.train.images import ImageObjective

        return ImageObjective(images.build(network, prepared, settings), prepared, settings)

    def fit(self, design: Design, prepared: Prepared, **options: Any) -> tuple[Any, Outcome]:
        """The loop; a few pictures as it changes them are left beside its checkpoints."""
        from silmu.steps.train.images import leave_samples

        found = super().fit(design, prepared, **options)
        if not int(os.environ.get("RANK", "0")):
            settings = {**self.config.to_dict(), **design.settings}
            leave_samples(prepared, settings, self.folder / "4-train")
        return found

    def write(self, model: Path, objective: Any, prepared: Prepared, meta: dict[str, Any]) -> Path:
        """Leaves the model folder of a trained network."""
        from silmu.steps.train.images import write_model

        return write_model(model, objective, prepared, meta=meta)
