"""What may be set of PPO, and what follows from the spaces where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silmu.steps.train.reinforcement.settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.networks.policies import PolicyConfig

SETTINGS = {
    "total_steps": Setting(None, 1, is_whole=True),
    "num_environments": Setting(8, 1, 4096, is_whole=True),
    "num_steps": Setting(None, 1, 1 << 20, is_whole=True),
    "batch_size": Setting(None, 1, 1 << 20, is_whole=True),
    "epochs": Setting(None, 1, 1000, is_whole=True),
    "learning_rate": Setting(None, 0, 1),
    "schedule": Setting("linear", names=("linear", "constant")),
    "gamma": Setting(None, 0, 1),
    "gae_lambda": Setting(None, 0, 1),
    "clip_range": Setting(0.2, 0, 1),
    "entropy_weight": Setting(None, 0, 100),
    "value_weight": Setting(0.5, 0, 100),
    "max_gradient": Setting(0.5, 0),
    "normalise_rewards": Setting(True, names=(True, False)),
}
"""`num_steps` of each environment make up a rollout, `batch_size` of them all a batch.

What is None is decided by `decided`."""

FEWEST, MOST, FOR_PICTURES = 100_000, 1_000_000, 1_000_000
PER_PAIR = 15_000
"""Steps for each pair of a number that is seen and one that a head tells."""
LONG = 1000
"""From so many steps on an episode is long: what is done early decides what is earned late."""


def decided(given: Mapping[str, Any], config: PolicyConfig, limit: int) -> dict[str, Any]:
    """All settings, what is None decided by the spaces and by how long an episode may be.

    Args:
        given: as `PPO.of` gives them.
        config: of the policy.
        limit: steps after which an episode is cut.
    """
    if config.image is not None:
        own = {"num_steps": 128, "epochs": 4, "learning_rate": 5e-4, "entropy_weight": 0.01}
        own |= {"total_steps": FOR_PICTURES, "gamma": 0.99, "gae_lambda": 0.95, "batch_size": 64}
    else:
        pairs = config.observation_size * config.num_outputs
        own = {"total_steps": min(max(PER_PAIR * pairs, FEWEST), MOST)}
        own |= {"epochs": 10, "learning_rate": 1e-3, "entropy_weight": 0.0, "batch_size": 256}
        own |= {"num_steps": 512 if limit >= LONG else 128, "gamma": 0.99, "gae_lambda": 0.95}
        if limit >= LONG and config.actions != "box":
            # Or what hovers, which costs little, is never given up for a landing.
            own |= {"gamma": 0.999, "gae_lambda": 0.98, "entropy_weight": 0.01}
    return {name: own[name] if value is None else value for name, value in given.items()}
