"""What learns, by its name, with what settings, and from the first step to the last."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from silmu.errors import UsageError
from silmu.steps.design import reinforcement
from silmu.steps.train.reinforcement import dqn, ppo, sac
from silmu.steps.train.reinforcement.environments import Environments
from silmu.steps.train.reinforcement.judging import Judge
from silmu.steps.train.reinforcement.learning import Learning, Learnt, learn

if TYPE_CHECKING:
    from torch import nn

    from silmu.steps.prepare.environments import PreparedEnvironment
    from silmu.steps.train.progress import Progress

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
        lens=prepared.lens,
        max_episode_steps=prepared.max_episode_steps,
    )
    config = reinforcement.config_of(network, algorithm, settings, prepared)
    chosen = {name: settings[name] for name in own.DEFAULTS}
    return own(environments, config, chosen, seed)


def learnt(
    network: str,
    settings: Mapping[str, Any],
    prepared: PreparedEnvironment,
    folder: Path,
    *,
    progress: Progress | None = None,
) -> tuple[nn.Module, Learnt]:
    """The policy of a design, learnt; as `learning.learn`.

    Args:
        network: one of `plan.FOR_POLICIES`.
        settings: of the algorithm, `algorithm`, `seed`, `evaluations`, `judged_episodes`, `threads`
            and `checkpoint_seconds`.
        prepared: what it learns in.
        folder: of checkpoints and log.
        progress: as of `learning.learn`.
    """
    kind, seed = settings["algorithm"], int(settings["seed"])
    threads = torch.get_num_threads()
    torch.set_num_threads(settings["threads"] or threads)
    try:
        algorithm = begun(network, kind, settings, prepared, seed)
        made_by = {
            "data": f"{prepared.environment.fingerprint} {prepared.fitted}",
            "settings": {
                name: settings[name]
                for name in ("algorithm", "seed", *algorithm.DEFAULTS, "judged_episodes")
            },
            "threads": torch.get_num_threads(),
        }
        learning = Learning(
            evaluations=settings["evaluations"],
            made_by=made_by,
            checkpoint_seconds=settings["checkpoint_seconds"],
        )
        judge = Judge(prepared, settings["judged_episodes"], seed)
        return learn(algorithm, judge, learning, folder, progress=progress)
    finally:
        torch.set_num_threads(threads)
