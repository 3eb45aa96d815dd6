"""Policies: which network, by which algorithm, with what settings, and what that costs here."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from silmu.errors import UnknownNameError
from silmu.steps.design.plan import FOR_POLICIES, Cost

if TYPE_CHECKING:
    from silmu.networks.policies import PolicyConfig
    from silmu.runtime.spaces import Space
    from silmu.steps.prepare.environments import PreparedEnvironment

ALGORITHMS = ("ppo", "dqn", "sac")
"""By what is learnt: from rollouts; from a replay, for discrete actions or for bounded numbers."""

TRIED_SECONDS = 2.0
"""So long, about, it is learnt to see what a step costs."""

OVERHEAD = 1.05
"""What judgements and checkpoints add."""


def check(network: str, algorithm: str) -> None:
    """Refuses what is not there, before any work is done.

    Raises:
        UnknownNameError: there is no such network or algorithm.
    """
    if network not in ("auto", *FOR_POLICIES):
        raise UnknownNameError(
            f"no network `{network}` for policies",
            hint=f"--network may be auto, {', '.join(FOR_POLICIES)}",
        )
    if algorithm not in ("auto", *ALGORITHMS):
        raise UnknownNameError(
            f"algorithm is {algorithm!r}; it may be auto, {', '.join(ALGORITHMS)}"
        )


def network_of(network: str, observation: Space) -> str:
    """What `auto` means: what sees pictures, or what reads numbers."""
    if network != "auto":
        return network
    return "cnn" if observation.is_image else "mlp"


def algorithm_of(algorithm: str) -> str:
    """What `auto` means: PPO, which on a CPU learns in minutes what takes the others far longer."""
    return "ppo" if algorithm == "auto" else algorithm


def config_of(
    network: str, algorithm: str, settings: Mapping[str, Any], prepared: PreparedEnvironment
) -> PolicyConfig:
    """The shape of the policy.

    Raises:
        UsageError: network, algorithm and spaces do not fit together.
    """
    from silmu.networks.policies import PolicyConfig

    environment = prepared.environment
    seen, action = environment.observation, environment.action
    image = None
    if seen.image is not None:
        channels, height, width = prepared.lens.shape(seen.image)
        image = (channels * prepared.frames, height, width)
    sizes = {
        "discrete": (action.n,),
        "multi_discrete": action.nvec,
        "multi_binary": (action.size,),
        "box": (action.size,),
    }
    bounded = action.kind == "box" and action.bounded
    assert action.low is not None or not bounded
    return PolicyConfig(
        kind=network,
        algorithm=algorithm,
        actions=action.kind,
        action_sizes=tuple(sizes[action.kind]),
        observation_size=0 if image else seen.size * prepared.frames,
        image=image,
        low=tuple(action.low.tolist()) if bounded and action.low is not None else (),
        high=tuple(action.high.tolist()) if bounded and action.high is not None else (),
        hidden_size=settings["hidden_size"],
        num_layers=settings["num_layers"],
        activation=settings["activation"],
        normalise=prepared.normalise,
    )


def cost(algorithm: Any, budget: float | None) -> tuple[Cost, int]:
    """What a step costs, learning included, and how many there will be.

    Args:
        algorithm: one that is thrown away afterwards.
        budget: seconds that the whole may take.
    """
    total = algorithm.total_steps
    start = time.perf_counter()
    first, waits = 0, getattr(algorithm, "starts", 0)
    began = start
    while algorithm.steps < total and time.perf_counter() - start < TRIED_SECONDS:
        before = algorithm.steps
        algorithm.iterate()
        if before <= waits:  # before it learns, and what is compiled or allocated at first
            first, began = algorithm.steps, time.perf_counter()
    seconds = max(time.perf_counter() - began, 1e-9)
    per_step = seconds / max(algorithm.steps - first, 1)
    if algorithm.steps == first:
        per_step = (time.perf_counter() - start) / max(algorithm.steps, 1)
    per_step *= OVERHEAD
    steps = total if budget is None else max(1, min(total, int(budget / per_step)))
    tensors, _ = algorithm.state()
    memory = sum(one.numel() * one.element_size() for one in tensors.values())
    memory += getattr(algorithm, "rollout_bytes", 0)
    found = Cost(
        step_seconds={"fp32": per_step},
        dtype="fp32",
        steps=steps,
        train_seconds=steps * per_step,
        answer_seconds=_answer_seconds(algorithm),
        memory=memory,
    )
    return found, steps


def _answer_seconds(algorithm: Any) -> float:
    import torch

    policy = algorithm.policy()
    seen = torch.from_numpy(algorithm.environments.observation[:1].astype("float32"))
    with torch.inference_mode():
        policy(seen)
        start = time.perf_counter()
        policy(seen)
    return time.perf_counter() - start
