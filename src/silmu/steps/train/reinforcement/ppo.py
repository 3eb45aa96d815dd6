"""Proximal policy optimization (Schulman et al. 2017, https://arxiv.org/abs/1707.06347).

All environments act a while by the policy as it is: a rollout. Each action's advantage is how much
better things went than was expected (generalized advantage estimation, Schulman et al. 2015,
https://arxiv.org/abs/1506.02438). Then the rollout is gone through several times in batches, and
what went well is made likelier, but by no more than a part, for else the rollout would tell of
another policy. What is done besides, as the scales of observations and rewards, is of
https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor

from silmu.networks import policies
from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement import parts, settings
from silmu.steps.train.reinforcement.acting import actor
from silmu.steps.train.reinforcement.choices import choices
from silmu.steps.train.reinforcement.flat import FlatAdam
from silmu.steps.train.reinforcement.rollouts import Reading, Rollout, advantages
from silmu.steps.train.reinforcement.scales import Moments
from silmu.steps.train.reinforcement.settings import Setting

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import Policy, PolicyConfig
    from silmu.steps.train.reinforcement.environments import Environments

SETTINGS = {
    "total_steps": Setting(None, 1, is_whole=True),
    "num_environments": Setting(8, 1, 4096, is_whole=True),
    "num_steps": Setting(None, 1, 1 << 20, is_whole=True),
    "batch_size": Setting(256, 1, 1 << 20, is_whole=True),
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

LARGEST_REWARD = 10.0
"""Beyond so many deviations of what comes together, a reward counts as this large."""


def decided(given: Mapping[str, Any], config: PolicyConfig, limit: int) -> dict[str, Any]:
    """All settings, what is None decided by the spaces and by how long an episode may be.

    Args:
        given: as `PPO.of` gives them.
        config: of the policy.
        limit: steps after which an episode is cut.
    """
    if config.image is not None:
        own = {"num_steps": 128, "epochs": 4, "learning_rate": 5e-4, "entropy_weight": 0.01}
        own |= {"total_steps": FOR_PICTURES, "gamma": 0.99, "gae_lambda": 0.95}
    else:
        pairs = config.observation_size * config.num_outputs
        own = {"total_steps": min(max(PER_PAIR * pairs, FEWEST), MOST)}
        own |= {"epochs": 10, "learning_rate": 1e-3, "entropy_weight": 0.0}
        own |= {"num_steps": 512 if limit >= LONG else 128, "gamma": 0.99, "gae_lambda": 0.95}
        if limit >= LONG and config.actions != "box":
            own |= {"gamma": 0.999, "gae_lambda": 0.98}
    return {name: own[name] if value is None else value for name, value in given.items()}


@final
class PPO:
    """Learns a policy from rollouts.

    Args:
        environments: those that act, all at a time.
        config: the policy's shape; its algorithm is `ppo`.
        given: of SETTINGS those that are not as they are there.
        seed: from which all chance follows.

    Attributes:
        steps: how many steps of an environment are done.
        total_steps: how many there will be.
        episodes: those that ended since the list was last emptied: after which step, return,
            length.
    """

    DEFAULTS: ClassVar[dict[str, Any]] = {name: one.default for name, one in SETTINGS.items()}

    @staticmethod
    def of(given: Mapping[str, Any]) -> dict[str, Any]:
        """All settings, those that are not given by their defaults.

        Raises:
            UsageError: one is unknown, of another type, or out of its range.
        """
        return settings.checked(given, SETTINGS)

    def __init__(
        self, environments: Environments, config: PolicyConfig, given: Mapping[str, Any], seed: int
    ) -> None:
        self.settings = decided(self.of(given), config, environments.max_episode_steps)
        self.environments, self.seed = environments, seed
        self.count = len(environments.observation)
        self.total_steps: int = self.settings["total_steps"]
        most = -(-self.total_steps // self.count)
        self.num_steps = min(int(self.settings["num_steps"]), most)
        self.steps = self.iteration = 0
        self.episodes: list[tuple[int, float, int]] = []
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "weights"))
            self.network: Policy = policies.build(config)
        self.optimizer = FlatAdam(self.network)
        self.choices = choices(self.network)
        self.actor = actor(self.network, self.count)
        self.observed = Moments((config.observation_size,))
        self.rewarded = Moments(())
        self.coming = np.zeros(self.count)

    def policy(self) -> Policy:
        """What acts."""
        return self.network

    def iterate(self) -> dict[str, float]:
        """A rollout, and what is learnt from it; gives numbers for the log."""
        rate = self.settings["learning_rate"]
        if self.settings["schedule"] == "linear":
            rate *= max(1 - self.steps / self.total_steps, 0.0)
        with _quick(self.network):
            rollout = self._roll_out()
            self._learn_scales(rollout)
            numbers = self._learn(rollout, rate)
        self.iteration += 1
        return {**numbers, "learning_rate": rate}

    def _roll_out(self) -> Rollout:
        steps, environments = self.num_steps, self.environments
        shape = (steps, self.count)
        chance = np.random.Generator(np.random.Philox(key=derive(self.seed, "act", self.iteration)))
        noise = self.choices.noise(chance, (*shape, self.network.config.num_outputs))
        seen = environments.observation
        observations = np.empty((steps, *seen.shape), seen.dtype)
        rewards, ended, stopped = np.empty(shape), np.empty(shape, bool), np.empty(shape, bool)
        actions: list[NDArray[Any]] = []
        cut: list[tuple[int, int, NDArray[Any]]] = []
        state = None if self.actor.state is None else self.actor.state.clone()
        for step in range(steps):
            observations[step] = seen
            action = self.choices.draw(self.actor.told(seen), noise[step])
            actions.append(action)
            stepped = environments.step(self._in_their_unit(action))
            self.steps += self.count
            seen, rewards[step] = stepped.observation, stepped.rewards
            ended[step], stopped[step] = stepped.ended, stepped.cut
            for i, last in stepped.final.items():
                self.actor.forget(i)
                if not stepped.ended[i]:
                    cut.append((step, i, last))
            for _, gained, length in stepped.returns:
                self.episodes.append((self.steps, float(gained), int(length)))
        return Rollout(
            observations=observations,
            actions=np.stack(actions),
            rewards=rewards,
            over=ended | stopped,
            ended=ended,
            cut=cut,
            last=np.array(seen),
            state=state,
        )

    def _in_their_unit(self, action: NDArray[Any]) -> NDArray[Any]:
        if self.network.config.actions != "box":
            return action
        return action * self.network.scale.numpy() + self.network.shift.numpy()

    @torch.no_grad()
    def _learn_scales(self, rollout: Rollout) -> None:
        """Takes the rollout into the scales of observations and of rewards."""
        network = self.network
        if network.config.normalise and network.config.image is None:
            self.observed.take(rollout.observations.reshape(-1, network.config.observation_size))
            network.mean.copy_(torch.from_numpy(self.observed.mean))
            network.deviation.copy_(torch.from_numpy(self.observed.deviation))
        if not self.settings["normalise_rewards"]:
            return
        # Not rewards make the scale of a value, but what they add up to.
        sums = np.empty_like(rollout.rewards)
        gamma = self.settings["gamma"]
        for step, (rewards, over) in enumerate(zip(rollout.rewards, rollout.over, strict=True)):
            self.coming = sums[step] = self.coming * gamma + rewards
            self.coming = np.where(over, 0.0, self.coming)
        self.rewarded.take(sums.reshape(-1))
        scale = float(self.rewarded.deviation)
        if self.iteration and network.value_head is not None:
            # What was told before is told still, in the new unit.
            change = float(network.value_scale) / scale
            network.value_head.weight.mul_(change)
            network.value_head.bias.mul_(change)
        network.value_scale.fill_(scale)

    def _learn(self, rollout: Rollout, rate: float) -> dict[str, float]:
        """Goes through the rollout several times, and changes the network by it."""
        chosen = self.settings
        rewards = rollout.rewards / float(self.network.value_scale)
        if chosen["normalise_rewards"]:
            rewards = rewards.clip(-LARGEST_REWARD, LARGEST_REWARD)
        reading = Reading(self.network, rollout)
        told, expected = reading.read_all()
        values = expected.reshape(rollout.rewards.shape).numpy()
        gained = advantages(
            rewards,
            values,
            reading.values_after(values),
            rollout.over,
            gamma=chosen["gamma"],
            gae_lambda=chosen["gae_lambda"],
        )
        actions = reading.units(torch.from_numpy(rollout.actions))
        with torch.no_grad():
            logs, _ = self.choices.judge(told, actions.flatten(0, 1))
        worth = (gained - gained.mean()) / (gained.std() + 1e-8)
        targets = [
            logs.reshape(reading.shape),
            *(
                reading.units(torch.from_numpy(one.astype(np.float32)))
                for one in (worth, gained + values)
            ),
        ]
        low, high = 1 - chosen["clip_range"], 1 + chosen["clip_range"]
        weight = chosen["value_weight"]
        lines: list[Tensor] = []
        for which in self._batches(reading):
            told, value = reading.read(which)
            then = actions if which is None else actions.index_select(1, which)
            some = targets if which is None else [one.index_select(1, which) for one in targets]
            logs_then, worth_then, returns = (one.flatten() for one in some)
            logs, entropy = self.choices.judge(told, then.flatten(0, 1))
            with torch.no_grad():
                ratio = torch.exp(logs - logs_then)
                clipped = torch.minimum(worth_then * ratio, worth_then * ratio.clamp(low, high))
                by_policy = -clipped.mean()
                # What is clipped has no gradient; that of a ratio is itself, times that of its log.
                slope = torch.where(clipped == worth_then * ratio, clipped, 0) / len(ratio)
                wrong = value - returns
                by_value = wrong.square().mean()
                lines.append(torch.stack([by_policy, by_value, entropy]))
            # Of another value than the loss, and of the same gradient, with far less on the record.
            loss = value.dot(wrong * (2 * weight / len(wrong))) - logs.dot(slope)
            if chosen["entropy_weight"]:
                loss = loss - chosen["entropy_weight"] * entropy
            self.optimizer.step(loss, rate, chosen["max_gradient"])
        means = torch.stack(lines).mean(0).tolist()
        left = gained.var() / max((gained + values).var(), 1e-12)
        return {
            **dict(zip(("policy_loss", "value_loss", "entropy"), means, strict=True)),
            "explained_variance": max(float(1 - left), -1.0),
        }

    def _batches(self, reading: Reading) -> Iterator[Tensor | None]:
        """The units of each batch, epoch after epoch; None for all."""
        size = max(self.settings["batch_size"] // reading.per_unit, 1)
        for epoch in range(self.settings["epochs"]):
            if size >= reading.num_units:
                yield None
                continue
            draws = np.random.Philox(key=derive(self.seed, "order", self.iteration, epoch))
            order = np.argsort(draws.random_raw(reading.num_units), kind="stable")
            yield from torch.from_numpy(order).split(size)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that it is to go on from."""
        plain, arrays = self.environments.state()
        tensors = {
            **parts.named("network", self.network.state_dict()),
            **parts.named("optimizer", self.optimizer.state()),
            **parts.named("observed", self.observed.state()),
            **parts.named("rewarded", self.rewarded.state()),
            **parts.named("environments", {k: torch.from_numpy(v) for k, v in arrays.items()}),
            "coming": torch.from_numpy(self.coming),
        }
        if self.actor.state is not None:
            tensors["remembered"] = self.actor.state
        counts = {"steps": self.steps, "iteration": self.iteration, "episodes": self.episodes}
        return tensors, {**counts, "environments": plain}

    def restore(self, tensors: dict[str, Tensor], plain: dict[str, Any]) -> None:
        """Goes on from what `state` gave.

        Raises:
            TrainingError: the environments do not do again what they did.
        """
        self.network.load_state_dict(parts.of("network", tensors))
        self.optimizer.restore(parts.of("optimizer", tensors))
        self.observed.restore(parts.of("observed", tensors))
        self.rewarded.restore(parts.of("rewarded", tensors))
        self.coming = tensors["coming"].numpy().copy()
        if self.actor.state is not None:
            self.actor.state = tensors["remembered"].clone()
        self.steps, self.iteration = int(plain["steps"]), int(plain["iteration"])
        self.episodes = [(int(at), float(one), int(many)) for at, one, many in plain["episodes"]]
        arrays = {name: one.numpy() for name, one in parts.of("environments", tensors).items()}
        self.environments.restore(plain["environments"], arrays)
        for i in range(self.count):
            if not self.environments.length(i):  # also where an episode could not be gone on with
                self.actor.forget(i)
                self.coming[i] = 0.0


@contextmanager
def _quick(network: Policy) -> Generator[None]:
    """One thread for small layers, and 0 for what is so near it that it would be slow."""
    before = torch.get_num_threads()
    if network.config.image is None:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(before)
