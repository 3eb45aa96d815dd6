"""Soft actor-critic: act so that much is earned and much is tried (Haarnoja et al. 2018).

Source: https://arxiv.org/abs/1812.05905. The policy tells a normal distribution, whose draws tanh
brings between the bounds of an action. Two critics learn what an action is worth, from what it
earned and from what they, some time ago, thought of the policy's answer to what was seen next. The
policy learns to do what they think is worth much, and to stay as undecided as its entropy shall be;
how much that counts is learnt too.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from silmu.errors import UsageError
from silmu.networks import policies
from silmu.networks.policies import LOG_DEVIATIONS
from silmu.networks.values import through
from silmu.steps.train.batches import derive
from silmu.steps.train.reinforcement.acting import actor
from silmu.steps.train.reinforcement.flat import FlatAdam
from silmu.steps.train.reinforcement.noise import COLOURS, Noise, uniform
from silmu.steps.train.reinforcement.off_policy import OffPolicy
from silmu.steps.train.reinforcement.replay import Batch, Replay, capacity, draws
from silmu.steps.train.reinforcement.scales import Moments
from silmu.steps.train.reinforcement.settings import Setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from silmu.networks.policies import PolicyConfig
    from silmu.steps.train.reinforcement.environments import Environments

AT_ONCE = 500
"""Steps of the environments in an iteration, about, or updates, where they are more."""
CRITICS = 2
HALF_LOG_TAU = 0.5 * math.log(2 * math.pi)

SETTINGS = {
    "total_steps": Setting(None, 1, is_whole=True),
    "num_environments": Setting(1, 1, 1024, is_whole=True),
    "learning_rate": Setting(3e-4, 0, 1),
    "batch_size": Setting(256, 1, 1 << 20, is_whole=True),
    "gamma": Setting(0.99, 0, 1),
    "tau": Setting(0.005, 0, 1),
    "updates_per_step": Setting(1.0, 0, 100),
    "policy_every": Setting(2, 1, 1000, is_whole=True),
    "target_entropy": Setting(None, -float("inf")),
    "noise": Setting("pink", names=tuple(COLOURS)),
    "learning_starts": Setting(None, 0, is_whole=True),
    "replay_size": Setting(None, 1, is_whole=True),
}
"""Of what is None: there are 10,000 steps for each pair of a number that is seen and one that is
done, from FEWEST to MOST; learning starts after a fiftieth of them, 10,000 at most; the entropy
that the policy shall have is minus the numbers of an action; the replay keeps all steps that fit
into a gigabyte."""

FEWEST, MOST = 30_000, 300_000


@final
class SAC(OffPolicy):
    """Learns a policy for actions that are numbers between bounds.

    Args:
        environments: that are acted in.
        config: of the policy: `sac`, and `mlp`.
        given: of SETTINGS those that are not as they are there.
        seed: from which follows what chance decides.

    Raises:
        UsageError: a setting is not what it may be, or the policy sees pictures or has a memory.
    """

    SETTINGS: ClassVar = SETTINGS
    DEFAULTS: ClassVar[dict[str, Any]] = {name: one.default for name, one in SETTINGS.items()}

    def __init__(
        self, environments: Environments, config: PolicyConfig, given: Mapping[str, Any], seed: int
    ) -> None:
        if config.kind != "mlp":
            has = "a memory" if config.kind == "gru" else "convolutions"
            raise UsageError(
                f"algorithm sac learns a perceptron, from single steps, no network with {has}",
                hint="take algorithm ppo, or network mlp and more frames",
            )
        super().__init__()
        self.settings = own = self.of(given)
        self.environments, self.seed = environments, seed
        self.count = len(environments.observation)
        pairs = config.observation_size * config.num_outputs
        self.total_steps = own["total_steps"] or min(max(10_000 * pairs, FEWEST), MOST)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derive(seed, "weights"))
            self.network = policies.build(replace(config, critics=CRITICS))
        assert self.network.critics is not None
        self.critics = self.network.critics
        self.targets = copy.deepcopy(self.critics).requires_grad_(False)
        self.temperature = nn.ParameterDict({"log": nn.Parameter(torch.zeros(()))})
        acts = nn.ModuleList([self.network.body, self.network.head, self.temperature])
        self.optimizers = {
            "policy_optimizer": FlatAdam(acts),
            "critics_optimizer": FlatAdam(self.critics),
        }
        self.networks = {
            "network": self.network,
            "targets": self.targets,
            "temperature": self.temperature,
        }
        self.actor = actor(self.network, self.count)
        size = config.num_outputs
        self.noise = Noise(own["noise"], (self.count, size), seed)
        seen = environments.observation
        fits = own["replay_size"] or capacity(self.total_steps, seen)
        self.replay = Replay(fits, seen, np.zeros((self.count, size), np.float32))
        self.moments = Moments((config.observation_size,)) if config.normalise else None
        starts = own["learning_starts"]
        self.starts = min(10_000, self.total_steps // 50) if starts is None else starts
        aim = own["target_entropy"]
        self.target_entropy = -float(size) if aim is None else float(aim)

    # ── acting ─────────────────────────────────────────────────────────────────────────────────

    def iterate(self) -> dict[str, float]:
        """Acts some steps, and learns from steps of all times after each; numbers for the log."""
        left = self.total_steps - self.steps
        at_once = min(AT_ONCE / max(self.settings["updates_per_step"], 1), left)
        rounds = math.ceil(at_once / self.count)
        due = self._due(self.steps + rounds * self.count) - self.updates
        size, first = self.settings["batch_size"], self.updates
        places = draws(derive(self.seed, "replay", self.iterations), due, size)
        chance = torch.Generator().manual_seed(derive(self.seed, "drawn", self.iterations))
        noise = torch.randn(due, 2, size, self.noise.shape[1], generator=chance)
        numbers: dict[str, Tensor] = {}
        for _ in range(rounds):
            seen = self.environments.observation.copy()
            actions = self._act(seen)
            stepped = self.environments.step(self._in_their_unit(actions))
            self.replay.add(
                seen, actions, stepped.rewards, stepped.observation,
                ended=stepped.ended, cut=stepped.cut, last=stepped.final,
            )  # fmt: skip
            if self.moments is not None:
                self.moments.take(seen)
            self.steps += self.count
            self.episodes += [(self.steps, earned, long) for _, earned, long in stepped.returns]
            while self.updates < self._due(self.steps):
                one = self.updates - first
                numbers |= self._learn(self.replay.batch(places[one]), noise[one])
                self.updates += 1
        self._normalise(self.network)
        self.iterations += 1
        last = {name: float(one) for name, one in numbers.items()}
        return {**last, "temperature": float(self.temperature["log"].detach().exp())}

    def _act(self, seen: NDArray[Any]) -> NDArray[np.float32]:
        """Actions between -1 and 1: by chance at first, then by the policy's distribution."""
        noise = self.noise.at(self.steps // self.count)
        if self.steps < self.starts:
            return uniform(noise)
        mean, log_deviation = np.split(self.actor.told(seen), 2, axis=1)
        return np.tanh(mean + np.exp(np.clip(log_deviation, *LOG_DEVIATIONS)) * noise)

    def _in_their_unit(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        return actions * self.network.scale.numpy() + self.network.shift.numpy()

    # ── learning ───────────────────────────────────────────────────────────────────────────────

    def _learn(self, batch: Batch, noise: Tensor) -> dict[str, Tensor]:
        """One update of the critics, and of the policy where it is its turn."""
        temperature = self.temperature["log"].detach().exp()
        seen = self.network.normalised(batch.observations)
        with torch.no_grad():
            after = self.network.normalised(batch.observations_after)
            actions, likelihoods = self._drawn(after, noise[0])
            worth = self.targets(after, actions).amin(0) - temperature * likelihoods
            aims = batch.rewards + batch.goes_on * self.settings["gamma"] * worth
        judged = self.critics(seen, batch.actions)
        loss = functional.mse_loss(judged, aims.expand_as(judged), reduction="sum") / len(aims)
        rate = self.settings["learning_rate"]
        self.optimizers["critics_optimizer"].step(loss, rate, math.inf)
        losses = {"critic_loss": loss.detach(), "value": judged.detach().mean()}
        if self.updates % self.settings["policy_every"] == 0:
            losses |= self._improve(seen, noise[1])
        with torch.no_grad():
            torch._foreach_lerp_(  # pyright: ignore
                list(self.targets.parameters()),
                list(self.critics.parameters()),
                self.settings["tau"],
            )
        return losses

    def _improve(self, seen: Tensor, noise: Tensor) -> dict[str, Tensor]:
        """One update of the policy, and of how much its entropy counts."""
        log_temperature = self.temperature["log"]
        actions, likelihoods = self._drawn(seen, noise)
        self.critics.requires_grad_(False)
        worth = self.critics(seen, actions).amin(0)
        self.critics.requires_grad_(True)
        loss = (log_temperature.detach().exp() * likelihoods - worth).mean()
        surplus = -likelihoods.detach().mean() - self.target_entropy
        rate = self.settings["learning_rate"]
        self.optimizers["policy_optimizer"].step(loss + log_temperature * surplus, rate, math.inf)
        return {"policy_loss": loss.detach(), "entropy": -likelihoods.detach().mean()}

    def _drawn(self, seen: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Actions (rows, size), and the logarithms of their densities (rows,)."""
        told = through(seen, self.network.body, self.network.head, quick=self.critics.quick)
        mean, log_deviation = told.chunk(2, 1)
        log_deviation = log_deviation.clamp(*LOG_DEVIATIONS)
        drawn = mean + log_deviation.exp() * noise
        density = -0.5 * noise**2 - log_deviation - HALF_LOG_TAU
        # The logarithm of 1 - tanh(x)^2, that overflows nowhere.
        squashed = 2 * (math.log(2) - drawn - functional.softplus(-2 * drawn))
        return torch.tanh(drawn), (density - squashed).sum(1)
