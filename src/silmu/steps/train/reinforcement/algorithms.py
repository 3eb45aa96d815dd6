"""What learns, by its name, and with what settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from silmu.errors import UsageError
from silmu.steps.design import reinforcement
from silmu.steps.train.reinforcement import dqn, ppo, sac
from silmu.steps.train.reinforcement.environments import Environments

if TYPE_CHECKING:
    from silmu.steps.prepare.environments import PreparedEnvironment

LEARNERS: dict[str, Any] = {"ppo": ppo.PPO, "dqn": dqn.DQN, "sac": sac.SAC}

SHAPES: dict[str, dict[str, Any]] = {
    "ppo": {"hidden_size": 64, "num_layers": 2, "activation": "tanh"},
    "dqn": {"hidden_size": 256, "num_layers": 2, "activation": "relu"},
    "sac": {"hidden_size": 256, "num_layers": 2, "activation": "relu"},
}
"""Of a policy by its algorithm, unless settings say otherwise."""

SEEING = {"hidden_size": 512}
"""Of one that sees pictures."""


def learner(algorithm: str) -> Any:
    """The class that learns."""
    return LEARNERS[algorithm]


def decided(algorithm: str, given: Mapping[str, Any], prepared: PreparedEnvironment | None) -> Any:
    """The settings of an algorithm and of its policy: those that are given, defaults for the rest.

    Args:
        algorithm: one of LEARNERS.
        given: by name; what is None is decided here.
        prepared: what it learns in; None before that is known.

    Raises:
        UsageError: a setting that is out of range, or that the algorithm does not have.
    """
    own = learner(algorithm)
    chosen = {name: value for name, value in given.items() if value is not None}
    for name in given:
        elsewhere = [one for one in LEARNERS if name in learner(one).DEFAULTS]
        if name in chosen and elsewhere and name not in own.DEFAULTS:
            raise UsageError(
                f"{name} is set, and {algorithm} has no such setting; {', '.join(elsewhere)} has",
                hint=f"leave it out, or --set algorithm={elsewhere[0]}",
            )
    settings = own.of({name: one for name, one in chosen.items() if name in own.DEFAULTS})
    is_image = prepared is not None and prepared.environment.observation.is_image
    shape = SHAPES[algorithm] | (SEEING if is_image else {})
    return settings | {name: chosen.get(name, value) for name, value in shape.items()}


def begun(
    network: str,
    algorithm: str,
    settings: Mapping[str, Any],
    prepared: PreparedEnvironment,
    seed: int,
) -> Any:
    """An algorithm that has not learnt yet, with its environments; the same for the same seed."""
    own = learner(algorithm)
    environments = Environments(
        prepared.environment,
        settings["num_environments"],
        seed,
        frames=prepared.frames,
        max_episode_steps=prepared.max_episode_steps,
    )
    config = reinforcement.config_of(network, algorithm, settings, prepared)
    chosen = {name: settings[name] for name in own.DEFAULTS}
    return own(environments, config, chosen, seed)
