"""What moves the weights: AdamW and its sparse like, rates by step, clipping, averages."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn, optim

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SCHEDULES = ("linear", "cosine", "constant")
_FUSED = ("cpu", "cuda", "mps")


@final
class Optimizer:
    """AdamW (https://arxiv.org/abs/1711.05101) over groups, and lazy Adam where they are sparse.

    Args:
        network: whose parameters are moved.
        groups: as `Objective.groups` gives them.
        learning_rate: at its highest; a group's `rate` multiplies it.
    """

    def __init__(
        self, network: nn.Module, groups: list[dict[str, Any]], learning_rate: float
    ) -> None:
        names = {id(parameter): name for name, parameter in network.named_parameters()}
        groups = [{**group, "params": list(group["params"])} for group in groups]
        groups = [group for group in groups if group["params"]]
        given: list[Tensor] = [one for group in groups for one in group["params"]]
        if len({id(one) for one in given}) < len(given) or not {*map(id, given)} <= {*names}:
            raise UsageError("every parameter must be the network's, and in one group only")
        self.names = {names[id(one)]: one for one in given}
        self.parameters = given
        if not given:
            raise UsageError("the network has no parameter that learns")
        self.base = learning_rate
        dense, sparse = (
            [_settings(group, learning_rate) for group in groups if bool(group.get("sparse")) is of]
            for of in (False, True)
        )
        self.parts: list[optim.Optimizer] = []
        if dense:
            places = {one.device.type for group in dense for one in group["params"]}
            fused = places <= set(_FUSED)
            self.parts.append(optim.AdamW(dense, lr=learning_rate, fused=fused))
        if sparse:
            for group in sparse:
                group.pop("weight_decay", None)
            self.parts.append(optim.SparseAdam(sparse, lr=learning_rate))

    def step(self, share: float) -> None:
        """Move the weights at a share of the learning rate, and forget the gradients."""
        for part in self.parts:
            for group in part.param_groups:
                group["lr"] = self.base * group["rate"] * share
            part.step()
            part.zero_grad(set_to_none=True)

    def state(self) -> tuple[dict[str, Tensor], dict[str, dict[str, Any]]]:
        """All that the optimizers remember: tensors, and by parameter what is no tensor."""
        tensors: dict[str, Tensor] = {}
        plain: dict[str, dict[str, Any]] = {}
        for name, parameter in self.names.items():
            for part in self.parts:
                for key, value in part.state.get(parameter, {}).items():
                    if isinstance(value, Tensor):
                        tensors[f"{name}/{key}"] = value
                    else:
                        plain.setdefault(name, {})[key] = value
        return tensors, plain

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, dict[str, Any]]) -> None:
        """Remember what `state` gave."""
        states: dict[str, dict[str, Any]] = {name: dict(values) for name, values in plain.items()}
        for full, value in tensors.items():
            name, _, key = full.rpartition("/")
            states.setdefault(name, {})[key] = value
        names = {id(parameter): name for name, parameter in self.names.items()}
        for part in self.parts:
            part.state.clear()
            for group in part.param_groups:
                for parameter in group["params"]:
                    if (own := states.get(names[id(parameter)])) is not None:
                        part.state[parameter] = {k: _laid(v, parameter) for k, v in own.items()}

    @property
    def num_bytes(self) -> int:
        """How much the optimizers remember, once they have begun."""
        return sum(2 * one.numel() * one.element_size() for one in self.parameters)


def _laid(value: Any, parameter: Tensor) -> Any:
    """A tensor in memory as its parameter is: a fused step reads both from their beginnings."""
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        return value
    return torch.empty_like(parameter, dtype=value.dtype, device=value.device).copy_(value)


def _settings(group: dict[str, Any], learning_rate: float) -> dict[str, Any]:
    rate = float(group.get("rate", 1.0))
    rest = {key: value for key, value in group.items() if key not in ("sparse", "rate")}
    return {"weight_decay": 0.0, **rest, "lr": learning_rate * rate, "rate": rate}


def share(schedule: str, warmup: float, step: int, total: int) -> float:
    """The part of the learning rate at which a step, from 0, is done.

    >>> [share("linear", 0.2, step, 10) for step in (0, 1, 2, 6, 9)]
    [0.5, 1.0, 1.0, 0.5, 0.125]
    """
    rising = math.ceil(warmup * total)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(total - rising, 1)
    if schedule == "linear":
        return 1 - done
    return 0.5 * (1 + math.cos(math.pi * done)) if schedule == "cosine" else 1.0


@torch.no_grad()
def prepare_gradients(
    parameters: Iterable[Tensor], weight: float, clip: float | None
) -> Tensor | None:
    """Divide the gradients by a weight, and shorten them to `clip` where they are longer.

    Returns:
        How long they were together, by which it is known whether all are numbers; None if that was
        not asked for.
    """
    parts: list[Tensor] = []
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is None:
            continue
        if gradient.is_sparse:
            parameter.grad = gradient = gradient.coalesce()
            gradient = gradient._values()
        parts.append(gradient)
    if not parts:
        return None
    if clip is None:
        if weight != 1:
            torch._foreach_div_(parts, weight)  # pyright: ignore
        return None
    norms: Sequence[Tensor] = torch._foreach_norm(parts)  # pyright: ignore
    norm = torch.linalg.vector_norm(torch.stack(list(norms))) / weight
    factor = torch.clamp(clip / (norm + 1e-6), max=1.0) / weight
    # To ask costs a wait for the device, to multiply a walk through memory: each where it is cheap.
    if norm.device.type != "cpu" or float(factor) != 1:
        torch._foreach_mul_(parts, factor)  # pyright: ignore
    return norm


@final
class Average:
    """An exponential moving average of the weights, which often answers better than the last ones.

    Polyak's averaging; the first steps, far from where it will end, count for less.
    """

    def __init__(self, names: dict[str, Tensor], decay: float) -> None:
        self.decay = decay
        self.names = names
        self.values = {name: one.detach().clone() for name, one in names.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step, counted from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages, now = list(self.values.values()), [one.detach() for one in self.names.values()]
        torch._foreach_lerp_(averages, now, 1 - decay)  # pyright: ignore

    @torch.no_grad()
    def exchange(self) -> None:
        """Let weights and averages change places; twice leaves all as it was."""
        for name, parameter in self.names.items():
            weights = parameter.detach().clone()
            parameter.copy_(self.values[name])
            self.values[name].copy_(weights)
