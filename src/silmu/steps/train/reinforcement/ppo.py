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
from silmu.steps.train.reinforcement.ppo_settings import SETTINGS, decided
from silmu.steps.train.reinforcement.rollouts import Reading, Rollout, advantages
from silmu.steps.train.reinforcement.scales import Scales

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.networks.policies import Policy, PolicyConfig
    from silmu.steps.train.reinforcement.environments import Environments

LARGEST_REWARD = 10.0
"""Beyond so many deviations of what comes together, a reward counts as this large."""


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
        rollout_bytes: memory of what is seen in a rollout.
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
        self.rollout_bytes = self.num_steps * environments.observation.nbytes
        self.steps = self.iteration = 0
        self.episodes: list[tuple[int, float, int]] = []
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "weights"))
            self.network: Policy = policies.build(config)
        self.optimizer = FlatAdam(self.network)
        self.choices = choices(self.network)
        self.actor = actor(self.network, self.count)
        gamma = self.settings["gamma"] if self.settings["normalise_rewards"] else None
        self.scales = Scales(self.network, self.count, gamma)

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
            self.scales.learn(rollout)
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
            **self.scales.state(),
            **parts.named("environments", {k: torch.from_numpy(v) for k, v in arrays.items()}),
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
        self.scales.restore(tensors)
        if self.actor.state is not None:
            self.actor.state = tensors["remembered"].clone()
        self.steps, self.iteration = int(plain["steps"]), int(plain["iteration"])
        self.episodes = [(int(at), float(one), int(many)) for at, one, many in plain["episodes"]]
        arrays = {name: one.numpy() for name, one in parts.of("environments", tensors).items()}
        self.environments.restore(plain["environments"], arrays)
        for i in range(self.count):
            if not self.environments.length(i):  # also where an episode could not be gone on with
                self.actor.forget(i)
                self.scales.forget(i)


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
