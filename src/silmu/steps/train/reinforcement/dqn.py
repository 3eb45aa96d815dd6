"""Deep Q-networks: learn what each action is worth, and take the best (Mnih et al. 2015).

Source: https://doi.org/10.1038/nature14236. What an action is worth is what it earned, and what the
best action at what was seen next is worth by a network of some time ago. Which one is the best the
network of now decides: one alone would take the action that it overrates most (van Hasselt et al.
2016, https://arxiv.org/abs/1509.06461). So that something new is seen, now and then an action is
taken by chance, and kept up for a while (Dabney et al. 2020, https://arxiv.org/abs/2006.01782):
what a single one undoes, several reach.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from silmu.errors import UsageError
from silmu.networks import policies
from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement.acting import actor
from silmu.steps.train.reinforcement.flat import FlatAdam
from silmu.steps.train.reinforcement.off_policy import OffPolicy
from silmu.steps.train.reinforcement.replay import Batch, Replay, capacity, draws
from silmu.steps.train.reinforcement.scales import Moments
from silmu.steps.train.reinforcement.settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from silmu.networks.policies import PolicyConfig
    from silmu.steps.train.reinforcement.environments import Environments

AT_ONCE = 1000
"""Steps of the environments in an iteration, about, or updates, where they are more."""
LONGEST = 64
"""Steps that an action taken by chance is kept up at most."""

SETTINGS = {
    "total_steps": Setting(100_000, 1, is_whole=True),
    "num_environments": Setting(4, 1, 1024, is_whole=True),
    "learning_rate": Setting(6.3e-4, 0, 1),
    "batch_size": Setting(128, 1, 1 << 20, is_whole=True),
    "gamma": Setting(0.99, 0, 1),
    "target_every": Setting(50, 1, is_whole=True),
    "updates_per_step": Setting(1.0, 0, 100),
    "max_gradient": Setting(10.0, 0),
    "exploration_share": Setting(0.12, 0, 1),
    "exploration_end": Setting(0.1, 0, 1),
    "learning_starts": Setting(1000, 0, is_whole=True),
    "replay_size": Setting(None, 1, is_whole=True),
}
"""The share of actions taken by chance falls from 1 to `exploration_end` over `exploration_share`
of all steps. The replay keeps all steps that fit into a gigabyte, unless it is told how many."""


@final
class DQN(OffPolicy):
    """Learns a policy for one of several actions.

    Args:
        environments: that are acted in.
        config: of the policy: `dqn`, and `mlp` or `cnn`.
        given: of SETTINGS those that are not as they are there.
        seed: from which follows what chance decides.

    Raises:
        UsageError: a setting is not what it may be, or the policy has a memory.
    """

    SETTINGS: ClassVar = SETTINGS
    DEFAULTS: ClassVar[dict[str, Any]] = {name: one.default for name, one in SETTINGS.items()}

    def __init__(
        self, environments: Environments, config: PolicyConfig, given: Mapping[str, Any], seed: int
    ) -> None:
        if config.kind == "gru":
            raise UsageError(
                "algorithm dqn learns from single steps, and a network with a memory needs all "
                "that came before",
                hint="take algorithm ppo, or network mlp or cnn and more frames",
            )
        super().__init__()
        self.settings = own = self.of(given)
        self.environments, self.seed = environments, seed
        self.count = len(environments.observation)
        self.total_steps = own["total_steps"]
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "weights"))
            self.network = policies.build(config)
        self.target = copy.deepcopy(self.network).requires_grad_(False)
        self.networks = {"network": self.network, "target": self.target}
        self.optimizers = {"optimizer": FlatAdam(self.network)}
        self.actor = actor(self.network, self.count)
        seen = environments.observation
        fits = own["replay_size"] or capacity(self.total_steps, seen)
        self.replay = Replay(fits, seen, np.zeros(self.count, np.int64))
        self.starts = own["learning_starts"]
        self.num_actions = config.num_outputs
        self.moments = None
        if config.normalise and config.image is None:
            self.moments = Moments((config.observation_size,))
        self.kept_up = np.zeros(self.count, np.int64)
        self.by_chance = np.zeros(self.count, np.int64)

    # ── acting ─────────────────────────────────────────────────────────────────────────────────

    def iterate(self) -> dict[str, float]:
        """Acts some steps, and learns from steps of all times after each; numbers for the log."""
        left = self.total_steps - self.steps
        at_once = min(AT_ONCE / max(self.settings["updates_per_step"], 1), left)
        rounds = math.ceil(at_once / self.count)
        due = self._due(self.steps + rounds * self.count) - self.updates
        size, first = self.settings["batch_size"], self.updates
        places = draws(derive(self.seed, "replay", self.iterations), due, size)
        random = np.random.Generator(
            np.random.Philox(key=derive(self.seed, "act", self.iterations))
        )
        lines: list[Tensor] = []
        for chance in random.random((rounds, 3, self.count)):
            seen = self.environments.observation.copy()
            actions = self._act(seen, chance)
            stepped = self.environments.step(actions)
            self.replay.add(
                seen, actions, stepped.rewards, stepped.observation,
                ended=stepped.ended, cut=stepped.cut, last=stepped.final,
            )  # fmt: skip
            if self.moments is not None:
                self.moments.take(seen)
            for i in stepped.final:
                self.kept_up[i] = 0
            self.steps += self.count
            self.episodes += [(self.steps, earned, long) for _, earned, long in stepped.returns]
            while self.updates < self._due(self.steps):
                lines.append(self._learn(self.replay.batch(places[self.updates - first])))
                self.updates += 1
        self.iterations += 1
        self._normalise(self.network, self.target)
        numbers = {"exploration": self._exploration()}
        if lines:
            mean = torch.stack(lines).mean(0).tolist()
            numbers |= dict(zip(("value_loss", "value"), mean, strict=True))
        return numbers

    def _exploration(self) -> float:
        """The share of steps whose action is taken by chance."""
        end, share = self.settings["exploration_end"], self.settings["exploration_share"]
        done = self.steps / max(share * self.total_steps, 1)
        return end + (1 - end) * max(1 - done, 0.0)

    def _act(self, seen: NDArray[Any], chance: NDArray[np.float64]) -> NDArray[np.int64]:
        """The best actions, or some by chance.

        Args:
            seen: by each environment.
            chance: (3, environments) from 0 to 1: whether one is taken, which, and how long.
        """
        # With probability 1 / n of at least n steps; begun so rarely that the share comes out.
        long = np.minimum(1 / (1 - chance[2]), LONGEST).astype(np.int64)
        share = self._exploration()
        begins = (self.kept_up == 0) & (chance[0] < share / (share + (1 - share) * MEAN_LONG))
        self.by_chance = np.where(
            begins, (chance[1] * self.num_actions).astype(np.int64), self.by_chance
        )
        self.kept_up = np.where(begins, long, self.kept_up)
        goes_on = self.kept_up > 0
        best = self.by_chance if goes_on.all() else self.actor.told(seen).argmax(1)
        self.kept_up -= goes_on
        return np.where(goes_on, self.by_chance, best)

    # ── learning ───────────────────────────────────────────────────────────────────────────────

    def _learn(self, batch: Batch) -> Tensor:
        """One update; the loss, and what actions were worth on average."""
        with torch.no_grad():
            best = self.network.told(batch.observations_after)[0].argmax(1, keepdim=True)
            worth = self.target.told(batch.observations_after)[0].gather(1, best)[:, 0]
            aims = batch.rewards + batch.goes_on * self.settings["gamma"] * worth
        judged = self.network.told(batch.observations)[0]
        values = judged.gather(1, batch.actions[:, None])[:, 0]
        loss = functional.smooth_l1_loss(values, aims)
        rate, most = self.settings["learning_rate"], self.settings["max_gradient"]
        self.optimizers["optimizer"].step(loss, rate, most)
        if (self.updates + 1) % self.settings["target_every"] == 0:
            self.target.load_state_dict(self.network.state_dict())
        return torch.stack([loss, values.mean()]).detach()

    # ── remembering ────────────────────────────────────────────────────────────────────────────

    def _own(self) -> dict[str, Any]:
        return {"kept_up": self.kept_up.tolist(), "by_chance": self.by_chance.tolist()}

    def _own_again(self, plain: Mapping[str, Any]) -> None:
        self.kept_up, self.by_chance = np.array(plain["kept_up"]), np.array(plain["by_chance"])


MEAN_LONG = sum(1 / n for n in range(1, LONGEST + 1))
"""Steps that an action taken by chance is kept up on average."""
