"""From a trained network to a model folder whose graph answers as the network does, or to nothing.

What the two are compared on is told in `served`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import safetensors.torch
import torch
from torch import nn

from silmu import registry, store
from silmu.errors import UnsupportedModelError
from silmu.networks.images import ImageNetwork
from silmu.networks.policies import Policy
from silmu.networks.series import SeriesNetwork
from silmu.networks.texts import TextNetwork
from silmu.runtime import weights
from silmu.steps.train import served
from silmu.steps.train.validation import Scale

if TYPE_CHECKING:
    from silmu.steps.prepare.prepared import Prepared


def write_model(
    target: Path,
    network: nn.Module,
    prepared: Prepared,
    *,
    temperature: float = 1.0,
    config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained network as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, the files of the tokenizer, processor.json,
    schema.json and onnx/model.onnx. A network of transformers' own is saved by transformers, and
    opens there; low-rank updates are merged; a number comes out in the unit of its column.

    Args:
        target: must not exist.
        network: a `TextNetwork`, a network of transformers for sequences, or one of peft over it.
        prepared: what it was trained on.
        temperature: by what its logits are divided, so that its certainty can be believed.
        config: more keys for config.json; `thresholds`, one a label, go to processor.json.
        meta: for the manifest: what the model was made from.

    Raises:
        UnsupportedModelError: silmu has no graph for the network.
        InvalidModelError: graph and network differ; nothing is left.
    """
    extra = dict(config or {})
    thresholds = extra.pop("thresholds", None)
    network = finished(network, prepared, temperature)

    def logits(feeds: dict[str, Any]) -> Any:
        with torch.inference_mode():
            inputs = {name: torch.tensor(value) for name, value in feeds.items()}
            answer = network(**inputs)
        return (answer if isinstance(answer, torch.Tensor) else answer.logits).numpy()

    with store.new_folder(target, meta={"task": served.HEAD, **(meta or {})}) as writer:
        write_network(writer, network, served.labels_of(prepared) | extra)
        served.finish(
            *(writer, Path(target).name, served.HEAD, prepared, thresholds),
            lambda pipe: served.compare(pipe, logits, prepared),
        )
    return Path(target)


def finished(network: nn.Module, prepared: Prepared, temperature: float = 1.0) -> nn.Module:
    """A copy of the network as it is to be served.

    It is merged, on the CPU, in the user's unit, and as certain as it was found to be right.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    if hasattr(network, "merge_and_unload"):
        network = cast("Any", network).merge_and_unload().eval()
    if prepared.kind == "number":
        scale = Scale.of(prepared.features("train").targets)
        rescale(network, 1, float(scale.deviation), float(scale.mean))
    elif temperature != 1:
        rescale(network, len(prepared.labels), 1 / temperature, 0.0)
    return network


def write_network(writer: store.FolderWriter, network: nn.Module, values: dict[str, Any]) -> None:
    """Writes config.json and model.safetensors.

    Args:
        writer: of a model folder.
        network: one of silmu's own, or of transformers.
        values: more keys for config.json.

    Raises:
        UnsupportedModelError: silmu has no graph for the network.
    """
    if isinstance(network, TextNetwork | ImageNetwork | SeriesNetwork | Policy):
        text = json.dumps(network.config.to_dict() | values, ensure_ascii=False, indent=1)
        writer.write("config.json", f"{text}\n".encode())
        tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
        data = safetensors.torch.save(tensors, metadata={"format": "pt"})
        writer.write(weights.SINGLE, data)
        return
    own: Any = network
    model_type = getattr(getattr(own, "config", None), "model_type", None)
    if model_type not in registry.model_types():
        raise UnsupportedModelError(
            f"a {type(network).__name__} cannot be saved: silmu has graphs for "
            f"{', '.join(registry.model_types())}"
        )
    for name, value in values.items():
        setattr(own.config, name, value)
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # it is over before it can be seen
    try:
        own.save_pretrained(writer.folder, max_shard_size="1000GB")
    finally:
        if shown:
            logging.enable_progress_bar()


def rescale(network: nn.Module, outputs: int, factor: float, shift: float) -> None:
    """Puts a factor and a shift of what comes out into the last layer.

    Raises:
        UnsupportedModelError: there is no layer that they can be put into.
    """
    linear = [one for one in network.modules() if isinstance(one, nn.Linear)]
    last: list[nn.Module] = [*[one for one in linear if one.out_features == outputs][-1:]]
    if isinstance(network, TextNetwork) and network.bag is not None:
        last.append(network.bag.weights)
    shifted = [one for one in last if "bias" in dict(one.named_parameters())]
    if not last or (shift and len(shifted) != 1):
        raise UnsupportedModelError(
            f"a {type(network).__name__} has no last layer with {outputs} outputs and a shift",
            hint="take another --network",
        )
    with torch.no_grad():
        for one in last:
            for parameter in one.parameters():
                parameter.mul_(factor)
        for one in shifted:
            one.get_parameter("bias").add_(shift)
