"""Policies with weights that were thought of, or that chance made."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from silmu.runtime.policy import PolicyProcessor
from silmu.runtime.spaces import Space

CART = Space(
    "box",
    shape=(4,),
    low=np.array([-4.8, -np.inf, -0.42, -np.inf]),
    high=np.array([4.8, np.inf, 0.42, np.inf]),
    dtype="float32",
)
TWO = Space("discrete", n=2)
GREY = Space("box", shape=(36, 40), low=np.zeros(1440), high=np.full(1440, 255.0), dtype="uint8")


def box(*bounds: tuple[float, float], dtype: str = "float32") -> Space:
    """Numbers between bounds."""
    low, high = np.array(bounds, np.float64).T
    return Space("box", shape=(len(bounds),), low=low, high=high, dtype=dtype)


def write(
    folder: Path,
    processor: PolicyProcessor,
    *,
    kind: str = "mlp",
    tensors: dict[str, Any] | None = None,
    **config: Any,
) -> str:
    """A model folder of a policy; tensors that are not given are drawn."""
    folder.mkdir(parents=True)
    about = _config(processor, kind) | config
    shapes = _shapes(about)
    random = np.random.default_rng(0)
    drawn: dict[str, NDArray[Any]] = {
        name: random.normal(0, 0.6, shape) for name, shape in shapes.items()
    }
    drawn |= {
        name: np.asarray(given(shapes[name])) for name, given in _FIXED.items() if name in shapes
    }
    drawn |= {name: np.broadcast_to(one, shapes[name]) for name, one in (tensors or {}).items()}
    save_file(
        {name: np.array(one, np.float32, order="C") for name, one in drawn.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "processor.json").write_bytes(processor.to_bytes())
    return str(folder)


def upright(folder: Path) -> str:
    """Pushes the cart to where the pole falls: enough to keep it upright."""
    own = PolicyProcessor(CART, TWO)
    line = np.zeros((2, 4))
    line[1] = [0.02, 0.2, 1.0, 1.0]
    tensors = {
        "body.0.weight": np.eye(4),
        "body.0.bias": 0,
        "head.weight": line,
        "head.bias": 0,
        "mean": 0,
        "deviation": 1,
    }
    return write(folder, own, tensors=tensors, hidden_size=4, num_layers=1)


_FIXED = {
    "deviation": np.ones,
    "value_scale": np.ones,
    "log_std": lambda shape: np.full(shape, -1.0),
}


def _config(processor: PolicyProcessor, kind: str) -> dict[str, Any]:
    action = processor.action
    sizes = action.nvec if action.kind == "multi_discrete" else (action.size,)
    is_picture = len(processor.shape) == 3
    bounds: dict[str, Any] = {"low": [], "high": []}
    if action.kind == "box" and action.bounded:
        assert action.low is not None
        assert action.high is not None
        bounds = {"low": action.low.tolist(), "high": action.high.tolist()}
    return {
        "model_type": "silmu-policy",
        "architectures": ["SilmuForReinforcementLearning"],
        "kind": kind,
        "algorithm": processor.algorithm,
        "actions": action.kind,
        "action_sizes": list(sizes),
        "observation_size": 0 if is_picture else processor.shape[0],
        "image": list(processor.shape) if is_picture else None,
        **bounds,
        "hidden_size": 8,
        "num_layers": 2,
        "activation": "tanh",
        "normalise": not is_picture,
    }


def _shapes(about: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    size, outputs = about["hidden_size"], sum(about["action_sizes"])
    algorithm = about["algorithm"]
    is_box, is_sac = about["actions"] == "box", algorithm == "sac"
    shapes = _body(about, "body")
    if about["kind"] == "gru":
        for what, inner in (
            ("weight_ih", (size,)),
            ("weight_hh", (size,)),
            ("bias_ih", ()),
            ("bias_hh", ()),
        ):
            shapes[f"memory.{what}_l0"] = (3 * size, *inner)
    heads = {"head": outputs * (1 + is_sac)}
    if algorithm == "ppo":
        heads["value_head"] = 1
        shapes["value_scale"] = ()
        if about["kind"] == "mlp":
            shapes |= _body(about, "value_body")
    for name, outer in heads.items():
        shapes |= {f"{name}.weight": (outer, size), f"{name}.bias": (outer,)}
    if about["normalise"]:
        image = about["image"]
        scaled = (image[0], 1, 1) if image else (about["observation_size"],)
        shapes |= dict.fromkeys(("mean", "deviation"), scaled)
    for i in range(about.get("critics", 0)):
        sizes = [about["observation_size"] + outputs, *[size] * about["num_layers"], 1]
        for k, (inner, outer) in enumerate(itertools.pairwise(sizes)):
            name = f"critics.critics.{i}.{2 * k}"
            shapes |= {f"{name}.weight": (outer, inner), f"{name}.bias": (outer,)}
    if is_box:
        shapes |= dict.fromkeys(("scale", "shift"), (outputs,))
        if not is_sac:
            shapes["log_std"] = (outputs,)
    return shapes


def _body(about: dict[str, Any], name: str) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    size = about["hidden_size"]
    if about["image"]:
        channels, *sides = about["image"]
        for layer, filters, kernel, stride in (
            ("conv1", 32, 8, 2 if min(sides) < 60 else 4),
            ("conv2", 64, 4, 2),
            ("conv3", 64, 3, 1),
        ):
            shapes[f"{name}.{layer}.weight"] = (filters, channels, kernel, kernel)
            shapes[f"{name}.{layer}.bias"] = (filters,)
            sides = [(side - kernel) // stride + 1 for side in sides]
            channels = filters
        inner = channels * sides[0] * sides[1]
        return shapes | {f"{name}.line.weight": (size, inner), f"{name}.line.bias": (size,)}
    inner = about["observation_size"]
    for i in range(about["num_layers"]):
        shapes |= {f"{name}.{2 * i}.weight": (size, inner), f"{name}.{2 * i}.bias": (size,)}
        inner = size
    return shapes
