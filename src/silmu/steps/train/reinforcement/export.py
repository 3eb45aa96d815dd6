"""The model folder of a policy."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from silmu import store
from silmu.runtime import policy as processors
from silmu.runtime.policy import PolicyProcessor
from silmu.steps.train import export, served

if TYPE_CHECKING:
    from silmu.steps.prepare.environments import PreparedEnvironment

HEAD = "reinforcement-learning"
ROWS = 16
"""How many observations network and graph are compared on."""


def write_model(
    target: Path,
    network: nn.Module,
    prepared: PreparedEnvironment,
    algorithm: str,
    *,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained policy as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, processor.json and onnx/model.onnx.

    Args:
        target: must not exist.
        network: a `networks.policies.Policy`.
        prepared: what it learnt in.
        algorithm: by which it learnt.
        meta: for the manifest: what the model was made from.

    Raises:
        InvalidModelError: graph and network differ; nothing is left.
    """
    environment = prepared.environment
    processor = PolicyProcessor(
        environment.observation,
        environment.action,
        prepared.frames,
        algorithm,
        prepared.lens,
        environment.fresh,
    )
    network = copy.deepcopy(network).cpu().float().eval()
    with store.new_folder(target, meta={"task": HEAD, **(meta or {})}) as writer:
        export.write_network(writer, network, {})
        writer.write(processors.FILE, processor.to_bytes())
        served.serve(
            *(writer, Path(target).name, HEAD), lambda pipe: compare(pipe, network, processor)
        )
    return Path(target)


def compare(pipe: Any, network: nn.Module, processor: PolicyProcessor) -> None:
    """Refuses where a graph and a network differ, on observations that are drawn.

    Raises:
        InvalidModelError: what is told differs by more than 1e-4 of its size.
    """
    random = np.random.default_rng(0)
    shape = (ROWS, *processor.shape)
    drawn: Any = random.normal(0, 2, shape).astype(np.float32)
    if len(processor.shape) == 3:
        drawn = random.integers(0, 256, shape).astype(np.float32)
    feeds: dict[str, Any] = {"observation": drawn}
    config: Any = network.config
    if config.kind == "gru":
        feeds["state"] = random.normal(0, 0.5, (ROWS, config.hidden_size)).astype(np.float32)
    with torch.inference_mode():
        expected = network(*(torch.from_numpy(one) for one in feeds.values()))
    found = pipe.model.session.run(feeds)
    # What a policy does not have, it leaves out.
    names = [name for name in ("action", "value", "next_state") if name in found]
    for name, one in zip(names, expected, strict=True):
        told = found[name]
        difference = np.abs(one.numpy() - told) / np.maximum(np.abs(one.numpy()), 1.0)
        if not (worst := float(difference.max())) <= served.TOLERANCE:
            raise served.differs(f"what it tells of an observation differs by {worst:.2g}")
