"""Learn by doing: a policy that acts in an environment, so that what it earns is the most."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, final

from silmu import extras
from silmu.errors import UsageError
from silmu.tasks._base import Config, Task

if TYPE_CHECKING:
    from silmu.steps.design.plan import Design
    from silmu.steps.evaluate.report import Report
    from silmu.steps.prepare.environments import PreparedEnvironment


@dataclass(frozen=True, kw_only=True)
class ReinforcementLearningConfig(Config):
    """What can be set. `None` is decided by the algorithm and the environment."""

    # collect
    kwargs: str | None = None
    """What the environment is made with, as JSON: `{"continuous": true}`."""
    max_episode_steps: int | None = None
    """After which an episode is cut; the environment's own limit, if not given."""
    deterministic: bool = True
    """False takes an environment that gives other things after the same seed and actions; its
    training goes on with new episodes after a stop."""

    # prepare
    frames: int | None = None
    """The last observations that are seen at once."""
    normalise: bool | None = None
    """Whether observations are shifted and scaled by those that were seen."""
    grey: bool | None = None
    """Pictures: whether colours become one channel; pictures of three channels, if not given."""
    smaller: int | None = None
    """Pictures: how many times smaller each side is read; to about 84 pixels, if not given."""

    # design
    algorithm: str = "auto"
    """`ppo`, which `auto` is, `dqn` (discrete actions) or `sac` (numbers between bounds)."""
    hidden_size: int | None = None
    num_layers: int | None = None
    activation: str | None = None
    """`tanh` or `relu`."""

    # train
    total_steps: int | None = None
    """Steps of the environment that are learnt from."""
    num_environments: int | None = None
    """Copies of the environment that are acted in at a time."""
    learning_rate: float | None = None
    batch_size: int | None = None
    gamma: float | None = None
    """How much less a reward counts for each step that it comes later."""
    max_gradient: float | None = None
    """To which length gradients are shortened."""
    num_steps: int | None = None
    """PPO: steps of each copy between two updates."""
    epochs: int | None = None
    """PPO: how often a rollout is learnt from."""
    schedule: str | None = None
    """PPO: of the learning rate, `linear` or `constant`."""
    gae_lambda: float | None = None
    clip_range: float | None = None
    entropy_weight: float | None = None
    value_weight: float | None = None
    normalise_rewards: bool | None = None
    """PPO: whether rewards are divided by the deviation of what comes together."""
    updates_per_step: float | None = None
    """DQN, SAC: updates for each step of the environment."""
    learning_starts: int | None = None
    """DQN, SAC: steps that are acted by chance first."""
    replay_size: int | None = None
    """DQN, SAC: steps that are remembered."""
    target_every: int | None = None
    """DQN: updates between two copies to the target network."""
    exploration_share: float | None = None
    exploration_end: float | None = None
    """DQN: the share of actions by chance, after that share of all steps."""
    tau: float | None = None
    """SAC: how fast the target critics follow."""
    policy_every: int | None = None
    """SAC: updates of the critics for each of the policy."""
    target_entropy: float | None = None
    noise: str | None = None
    """SAC: what chance is like from step to step: `white`, `pink`, `red`."""
    evaluations: int = 20
    """How often the policy is judged, over the whole training, or less where episodes are long; the
    best is kept."""
    judged_episodes: int = 20
    """In how many episodes, each time."""
    threads: int | None = 1
    """Of torch; small networks are quickest with one."""
    checkpoint_seconds: float = 120.0

    # evaluate
    episodes: int = 100
    """In how many episodes the trained policy is evaluated."""

    def changed(self, values: Mapping[str, Any]) -> Self:
        """As of every config; `kwargs` may be an object, too."""
        made_with = values.get("kwargs")
        if isinstance(made_with, dict):
            values = {**values, "kwargs": json.dumps(made_with)}
        return super().changed(values)


@final
class ReinforcementLearning(Task[ReinforcementLearningConfig]):
    """An environment in, a policy out.

    >>> import silmu
    >>> run = silmu.train("reinforcement-learning", data="CartPole-v1")   # doctest: +SKIP
    """

    name = "reinforcement-learning"
    rows = "environment"
    Config = ReinforcementLearningConfig

    def check(self, *, trains: bool) -> None:
        """Refuses settings that are out of range, before any work is done."""
        from silmu.steps.collect import environments
        from silmu.steps.design import reinforcement

        config = self.config
        extras.require("rl")
        reinforcement.check(config.network, config.algorithm)
        for name in ("evaluations", "judged_episodes", "episodes"):
            if (value := getattr(config, name)) < 1:
                raise UsageError(f"{name} is {value}; it must be at least 1")
        environments.checked(self._of_environment())
        if trains and config.algorithm != "auto":
            from silmu.steps.train.reinforcement import algorithms

            algorithms.decided(config.algorithm, config.to_dict(), None)

    @classmethod
    def extra(cls, config: Config) -> str:
        """Which extra design and train need."""
        del config
        return "train"

    @classmethod
    def open_dataset(cls, folder: Path) -> Any:
        """The environment that collect left in a run folder."""
        from silmu.steps.collect.environments import Environment

        return Environment.open(folder / "1-dataset")

    @classmethod
    def open_prepared(cls, folder: Path) -> Any:
        """What prepare left in a run folder."""
        from silmu.steps.prepare.environments import PreparedEnvironment

        return PreparedEnvironment.open(folder / "2-prepared", cls.open_dataset(folder))

    def collect(self, source: Any) -> Any:
        """1: the environment, tried out and written down."""
        from silmu.steps.collect import environments

        folder = self.folder / "1-dataset"
        if folder.exists():
            return environments.Environment.open(folder, source)
        self.tell(f"collect: trying {self.config.data}")
        return environments.collect(
            source,
            folder,
            settings=self._of_environment(),
            progress=lambda line: self.tell(f"collect: {line}"),
        )

    def prepare(self, dataset: Any) -> Any:
        """2: how the environment is seen."""
        from silmu.steps.design import reinforcement
        from silmu.steps.prepare import environments

        folder, config = self.folder / "2-prepared", self.config
        algorithm = reinforcement.algorithm_of(config.algorithm)
        if folder.exists():
            prepared = environments.PreparedEnvironment.open(folder, dataset)
        else:
            names = ("frames", "normalise", "max_episode_steps", "grey", "smaller")
            settings = {name: getattr(config, name) for name in names} | {"algorithm": algorithm}
            prepared = environments.prepare(dataset, folder, settings)
        network = reinforcement.network_of(config.network, dataset.observation)
        decided = {"network": network, "algorithm": algorithm, **prepared.facts()}
        self.config = config.changed(decided)
        self.tell(f"prepare: network {network}, algorithm {decided['algorithm']}")
        for line in prepared.lines():
            self.tell(f"prepare: {line}")
        return prepared

    def design(self, prepared: Any) -> Design:
        """3: the policy, what a step costs here, and how many there will be."""
        from silmu.steps.design.plan import Design

        found = Design.open(self.folder) or self._designed(prepared)
        self.config = self.config.changed(
            {k: v for k, v in found.settings.items() if v is not None and hasattr(self.config, k)}
        )
        return found

    def train(self, design: Design, prepared: Any) -> Path:
        """4: the algorithm, then the best policy as a model folder that acts without torch."""
        model = self.folder / "4-model"
        if model.exists() or int(os.environ.get("RANK", "0")):
            return model
        from silmu.steps.train.progress import Progress
        from silmu.steps.train.reinforcement import algorithms
        from silmu.steps.train.reinforcement.export import write_model

        settings = {**self.config.to_dict(), **design.settings}
        network, learnt = algorithms.learnt(
            design.network,
            settings,
            prepared,
            self.folder / "4-train",
            progress=Progress(quiet=self.quiet),
        )
        self.tell(
            f"train: mean return {learnt.mean_return:,.4g} with the weights that are kept, those "
            f"after {learnt.step:,} of {learnt.steps:,} steps"
        )
        self.spent["train"] = learnt.seconds
        meta = {"network": design.network, "dataset": prepared.environment.fingerprint}
        return write_model(model, network, prepared, settings["algorithm"], meta=meta)

    def evaluate(self, model: Path, prepared: Any, seconds: Mapping[str, float]) -> Report:
        """5: episodes that training never had, beside what chance and doing nothing earn."""
        from silmu.steps.evaluate import evaluate
        from silmu.steps.train.progress import Progress

        return evaluate(
            model,
            prepared,
            self.folder / "5-report",
            seconds=dict(seconds),
            settings=self.config.to_dict(),
            progress=Progress(quiet=self.quiet),
        )

    def _of_environment(self) -> dict[str, Any]:
        """The settings that are for the environment."""
        from silmu.steps.collect import environments

        return {name: getattr(self.config, name) for name in environments.SETTINGS}

    def _designed(self, prepared: PreparedEnvironment) -> Design:
        from silmu.steps.design import reinforcement
        from silmu.steps.design.layers import layers
        from silmu.steps.design.plan import Design
        from silmu.steps.train.reinforcement import algorithms

        config = self.config
        settings = algorithms.decided(config.algorithm, config.to_dict(), prepared)
        tried = algorithms.begun(config.network, config.algorithm, settings, prepared, config.seed)
        measured, steps = reinforcement.cost(tried, config.training_seconds)
        network = tried.policy()
        parameters = list(network.parameters())
        design = Design(
            network=config.network,
            settings={**settings, **tried.settings, "total_steps": steps},
            layers=layers(network),
            parameters=sum(p.numel() for p in parameters),
            trainable=sum(p.numel() for p in parameters if p.requires_grad),
            cost=measured,
        )
        design.leave(self.folder)
        for line in design.told().splitlines():
            self.tell(f"design: {line}")
        return design
