"""Policies judged: episodes and their seeds, baselines, intervals, films, moments, the report."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("gymnasium")
pytest.importorskip("sklearn")

from gymnasium import Env
from gymnasium.spaces import Box, Discrete
from misbehaving import OwnChance, Remembering, Walk, changed
from PIL import Image, ImageSequence
from small_environments import Corridor, Follow

import policy_models as models
from silmu import cli, run
from silmu.errors import InputError, UsageError
from silmu.pipelines import pipeline
from silmu.runtime.policy import PolicyProcessor
from silmu.steps.collect import environments as collected
from silmu.steps.collect.environments import Environment
from silmu.steps.evaluate import Report, evaluate, evaluate_data
from silmu.steps.evaluate.environment import episodes, learning, sections
from silmu.steps.evaluate.environment.acting import Chance, Idle, Policy
from silmu.steps.evaluate.environment.episodes import Played, play
from silmu.steps.evaluate.environment.judged import compared, judge
from silmu.steps.prepare.environments import PreparedEnvironment, prepare
from silmu.steps.train.reinforcement.environments import Environments


@pytest.fixture(autouse=True)
def _draws_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PYGAME_HIDE_SUPPORT_PROMPT", "SDL_VIDEODRIVER", "MUJOCO_GL"):
        monkeypatch.setenv(name, {"SDL_VIDEODRIVER": "dummy", "MUJOCO_GL": "egl"}.get(name, "1"))


class Shown(Walk):
    """A walk that can be seen: how far it is, as a shade."""

    metadata = {"render_fps": 10}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None) -> None:
        super().__init__()

    def render(self) -> Any:
        return np.full((48, 64, 3), min(255, int(100 + 10 * self.place)), np.uint8)


class Echo(Env[Any, Any]):
    """Earns what is done now if it is what was seen at first, long ago: only a memory knows it."""

    observation_space = Box(-1, 1, (1,), np.float32)
    action_space = Discrete(2)

    def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
        super().reset(seed=seed)
        self.first, self.steps = int(self.np_random.integers(2)), 0
        self.length = 3 + int(self.np_random.integers(5))
        return np.array([2 * self.first - 1], np.float32), {}

    def step(self, action: Any) -> Any:
        self.steps += 1
        right = float(int(action) == self.first)
        return np.zeros(1, np.float32), right, self.steps == self.length, False, {}


class Right:
    """Always the second action."""

    tells_value = False

    def begin(self, row: int, seed: int) -> None: ...

    def leave(self) -> None: ...

    def act(self, observations: Sequence[Any]) -> tuple[list[Any], list[float]]:
        return [1 for _ in observations], []


def collect(source: Any, folder: Path, **settings: Any) -> Environment:
    return collected.collect(source, folder / "1-dataset", settings=settings)


def policy(environment: Environment, folder: Path, **config: Any) -> Any:
    """A policy with weights by chance."""
    own = PolicyProcessor(environment.observation, environment.action)
    return pipeline(model=models.write(folder / "4-model", own, **config))


def scored(
    folder: Path, source: Any, *, count: int = 6, **settings: Any
) -> tuple[Report, PreparedEnvironment]:
    """A run of a policy by chance, evaluated."""
    environment = collect(source, folder, **settings)
    prepared = prepare(environment, folder / "2-prepared", {})
    policy(environment, folder)
    report = evaluate(
        folder / "4-model",
        prepared,
        folder / "5-report",
        seconds={"train": 1.5},
        settings={"network": "mlp", "episodes": count, "seed": 3},
    )
    return report, prepared


# ── episodes ───────────────────────────────────────────────────────────────────────────────────


def test_episodes_are_none_of_the_training(tmp_path: Path) -> None:
    begun: set[int] = set()

    class Watched(Corridor):
        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            if seed is not None:
                begun.add(seed)
            return super().reset(seed=seed)

    environment = collect(Watched, tmp_path, max_episode_steps=5)
    for is_training in (True, False):
        copies = Environments(environment, 4, 0, training=is_training)
        for _ in range(100):
            copies.step(np.zeros(4, np.int64))
    assert len(begun) > 100
    own = episodes.seeds(environment, "test", 100)
    assert len({*own, *episodes.seeds(environment, "new", 100)}) == 200
    assert min(own) > max(begun)
    assert own[:10] == episodes.seeds(environment, "test", 10)


def test_episodes_side_by_side_are_those_that_one_has_alone(tmp_path: Path) -> None:
    environment = collect(Walk, tmp_path)
    of = episodes.seeds(environment, "test", 70)  # more than go on at once
    together = play(environment, Chance(environment.action), of, 14)
    for number in (0, 31, 32, 69):
        alone = play(environment, Chance(environment.action), of[number : number + 1], 14)
        assert alone.returns[0] == together.returns[number]
        assert list(alone.actions[0]) == list(together.actions[number])
    assert set(together.lengths) == {12, 13, 14}
    # An episode that has 14 steps ended by itself; of 15 the limit cut the last.
    assert 0 < together.cut.sum() < (together.lengths == 14).sum()


def test_returns_are_sums_of_the_rewards_of_the_environment(tmp_path: Path) -> None:
    environment = collect(Corridor, tmp_path, max_episode_steps=30)
    of = episodes.seeds(environment, "test", 5)
    idle = play(environment, Idle(environment.action), of, 30)
    assert idle.returns.tolist() == pytest.approx([-0.3] * 5)
    assert idle.cut.all()

    right = play(environment, Right(), of, 30)
    for number, seed in enumerate(of):
        env = Corridor()
        env.reset(seed=seed)
        assert right.lengths[number] == 7 - env.place
        assert right.returns[number] == pytest.approx(1 - 0.01 * (7 - env.place))


def test_a_memory_is_of_one_episode(tmp_path: Path) -> None:
    environment = collect(Echo, tmp_path)
    pipe = policy(environment, tmp_path, kind="gru")
    of = episodes.seeds(environment, "test", 40)
    together = play(environment, Policy(pipe), of, 10)
    for number in range(0, 40, 7):
        alone = play(environment, Policy(pipe), of[number : number + 1], 10)
        assert list(alone.actions[0]) == list(together.actions[number])
        np.testing.assert_allclose(alone.values[0], together.values[number], atol=1e-5)
        env, told = Echo(), []
        seen, _ = env.reset(seed=of[number])
        pipe.reset()
        for _ in range(env.length):
            told.append(pipe(seen)["action"])
            seen, *_ = env.step(told[-1])
        assert told == list(together.actions[number])


def test_an_environment_that_goes_wrong_is_named_with_its_step(tmp_path: Path) -> None:
    environment = collect(Walk, tmp_path)
    broken = Environment.open(environment.path, changed(1, float("nan")))
    object.__setattr__(broken, "file", None)
    with pytest.raises(InputError, match=r"step 5 of episode 1, action 0.*nan") as error:
        play(broken, Idle(broken.action), episodes.seeds(broken, "test", 3), 20)
    assert "silmu check" in str(error.value.hint)


# ── figures ────────────────────────────────────────────────────────────────────────────────────


def of_returns(returns: Any) -> Played:
    array = np.asarray(returns, np.float64)
    count = len(array)
    nothing: tuple[Any, ...] = ((),) * count
    empty = (np.zeros(0, np.float32),) * count
    lengths = np.arange(count) + 1
    return Played(tuple(range(count)), array, lengths, np.zeros(count, bool), nothing, empty)


def test_intervals_hold_the_true_mean_as_often_as_they_say() -> None:
    random, held = np.random.default_rng(0), 0
    for trial in range(200):
        drawn = random.exponential(10.0, 40) - 5
        one = judge({"": of_returns(drawn)}, trial)[""].metrics["mean_return"]
        assert one["value"] == pytest.approx(drawn.mean())
        held += one["low"] <= 5 <= one["high"]
    assert 180 <= held <= 198


def test_episodes_are_compared_in_pairs_with_the_better_baseline() -> None:
    random = np.random.default_rng(0)
    hard = random.normal(0, 100, 50)  # what an episode is worth, whoever acts
    judged = judge(
        {
            "": of_returns(hard + 3 + random.normal(0, 1, 50)),
            "random": of_returns(hard),
            "idle": of_returns(hard - 50),
        },
        0,
    )
    found = compared(judged.pop(""), judged)
    assert (found["against"], found["verdict"]) == ("random", "better")
    assert 2.5 < found["low"] < found["difference"] < found["high"] < 3.5
    assert found["sentence"].startswith("better than random actions by 3")
    assert found["others"]["idle"]["difference"] == pytest.approx(53, abs=0.5)


def test_one_episode_tells_nothing_of_chance() -> None:
    judged = judge({"": of_returns([5.0]), "idle": of_returns([1.0])}, 0)
    found = compared(judged.pop(""), judged)
    assert found["verdict"] == "no clear difference"
    assert found["sentence"].endswith("one episode tells nothing of chance")


# ── reports ────────────────────────────────────────────────────────────────────────────────────


def test_a_report_holds_what_the_episodes_gave(tmp_path: Path) -> None:
    report, prepared = scored(tmp_path, Shown)
    environment = prepared.environment
    of = episodes.seeds(environment, "test", 6)
    limit = prepared.max_episode_steps
    own = play(environment, Policy(pipeline(model=str(tmp_path / "4-model"))), of, limit)
    assert report["mean_return"].value == pytest.approx(own.returns.mean(), rel=1e-5)
    assert report["median_return"].value == pytest.approx(np.median(own.returns), rel=1e-5)
    assert report["episode_length"].value == pytest.approx(own.lengths.mean(), rel=1e-5)
    assert {one.n for one in report.values()} == {6}
    chance = play(environment, Chance(environment.action), of, limit)
    assert report.baselines["random"]["mean_return"].value == pytest.approx(
        chance.returns.mean(), rel=1e-5
    )
    values = json.loads((tmp_path / "5-report" / "metrics.json").read_bytes())
    assert (values["rows"], values["kind"], values["metric"]) == (
        "environments",
        "action",
        "mean_return",
    )
    found = values["details"]["environment"]
    assert [sum(one) for one in found["returns"]["counts"].values()] == [6, 6, 6]
    assert found["cut"] == 0
    assert any("only 6 episodes" in one for one in report.warnings)
    assert (values["look"], values["seconds"]["train"]) == (1, 1.5)


def test_films_are_of_the_best_and_the_worst_episode(tmp_path: Path) -> None:
    report, _ = scored(tmp_path, Shown)
    found = report.details["environment"]
    best, worst = found["films"]
    assert best["return"] > worst["return"]
    for film in (best, worst):
        assert film["filmed_return"] == film["return"]
        with Image.open(tmp_path / "5-report" / film["file"]) as opened:
            assert opened.size == (64, 48)
            # One frame before each step, and one at the end; equal ones may be one.
            assert 2 <= len([*ImageSequence.Iterator(opened)]) <= film["length"] + 1
        assert film["picture"]["src"].startswith("data:image/webp;base64,")
        assert [step for step, _ in film["values"]] == list(range(film["length"]))


def test_moments_of_lowest_value_are_where_the_policy_expects_least(tmp_path: Path) -> None:
    report, prepared = scored(tmp_path, Shown)
    environment = prepared.environment
    pipe = pipeline(model=str(tmp_path / "4-model"))
    own = play(environment, Policy(pipe), episodes.seeds(environment, "test", 6), 99)
    moments = report.details["environment"]["moments"]
    assert len(moments) == 4
    lowest = min(float(one.min()) for one in own.values)
    assert moments[0]["value"] == pytest.approx(lowest, rel=1e-5)
    for one in moments:
        values = own.values[one["number"]]
        assert one["step"] == values.argmin()
        assert one["picture"]["width"] == 64


def test_a_page_and_a_card_say_what_was_found(tmp_path: Path) -> None:
    report, _ = scored(tmp_path, Shown)
    page = (tmp_path / "5-report" / "report.html").read_text()
    for title in ("What episodes earned", "Episodes to look at", "Moments of lowest value"):
        assert title in page
    assert page.count("data:image/webp") == 2 + 4
    assert "first look at these episodes" in page
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    card = (tmp_path / "4-model" / "README.md").read_text()
    assert "6 episodes that training never had" in card
    assert f"mean return {report['mean_return'].value:.3f}"[:16].replace("-", "\u2212") in card
    assert "an action that the environment takes comes out: one of 3" in card
    assert "rows like those" not in card


def test_a_second_look_is_told(tmp_path: Path) -> None:
    report, prepared = scored(tmp_path, Walk)
    again = evaluate(
        tmp_path / "4-model",
        prepared,
        tmp_path / "5-report",
        seconds={},
        settings={"episodes": 6, "seed": 3},
    )
    assert again.look == 2
    assert again.metrics == report.metrics
    assert any("look 2 at these episodes" in one for one in again.warnings)


def test_what_cannot_be_drawn_has_no_film_and_says_so(tmp_path: Path) -> None:
    report, _ = scored(tmp_path, Walk)
    found = report.details["environment"]
    assert found["unseen"]
    assert all(one["picture"] is None and one["file"] is None for one in found["films"])
    assert not list((tmp_path / "5-report").glob("*.webp"))
    page = (tmp_path / "5-report" / "report.html").read_text()
    assert "could not be drawn here" in page
    assert "What it expected to earn" in page


def test_a_policy_without_values_has_no_moments_and_says_so(tmp_path: Path) -> None:
    environment = collect(Follow, tmp_path, max_episode_steps=4)
    own = PolicyProcessor(environment.observation, environment.action, algorithm="sac")
    models.write(tmp_path / "4-model", own)
    report = evaluate_data(tmp_path / "4-model", environment, None)
    assert report.details["environment"]["moments"] == []
    told = {title: content for _, title, content in sections.of(report.to_dict())}
    assert "sac does not tell" in str(told["Moments of lowest value"])
    models.write(tmp_path / "judged", own, critics=2)
    report = evaluate_data(tmp_path / "judged", environment, None)
    assert len(report.details["environment"]["moments"]) == 4


def test_an_environment_that_gives_different_things_is_told(tmp_path: Path) -> None:
    report, prepared = scored(tmp_path, OwnChance, deterministic=False)
    assert not prepared.environment.deterministic
    assert any("gives different things" in one for one in report.warnings)


def test_curves_are_those_of_the_log(tmp_path: Path) -> None:
    lines = [
        {"step": 10, "return": 1.5, "policy_loss": 0.1},
        {"step": 20, "policy_loss": 0.1},
        {"step": 20, "validation": {"mean_return": 3.0}},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(f"{json.dumps(one)}\n" for one in lines) + '{"step": 30, "ret')
    assert learning.curves(path) == {"steps": 20, "return": [(10, 1.5)], "judged": [(20, 3.0)]}
    assert learning.curves(tmp_path / "none") is None


# ── another environment ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def walks(tmp_path: Path) -> Path:
    """A run in a walk, and two files with other walks beside it."""
    source = Path(__file__).with_name("misbehaving.py")
    for name, more in (("walk.py", ""), ("far.py", "LENGTH = 40\n"), ("wide.py", "")):
        text = source.read_text() + more
        if name == "wide.py":
            text = text.replace("(2,), np.float32)", "(3,), np.float32)")
            text = text.replace("[self.place, self.steps]", "[self.place, self.steps, 0]")
        (tmp_path / name).write_text(text)
    scored(tmp_path / "run", f"{tmp_path / 'walk.py'}:Walk")
    return tmp_path


def test_evaluate_in_another_environment(
    walks: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silmu.steps.evaluate.environment.new_data.EPISODES", 5)
    model, data, output = walks / "run" / "4-model", f"{walks / 'far.py'}:Walk", walks / "out"
    given = [str(model), "--data", data, "--output", str(output), "--json"]
    assert cli.main(["evaluate", *given]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["metrics"]["episode_length"]["value"] >= 40
    assert set(told["baselines"]) == {"random", "idle"}
    report = Report.open(output)
    assert report.look is None
    assert any("trained in" in one for one in report.warnings)
    assert (output / "5-report" / "report.html").is_file()
    with pytest.raises(UsageError, match="it is for rows"):
        run.evaluate(model, data=data, target="label", output=walks / "other")


def test_settings_of_an_environment_are_those_of_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silmu.steps.evaluate.environment.new_data.EPISODES", 2)
    own = collect("Pendulum-v1", tmp_path / "own")
    model = policy(own, tmp_path).model.folder.path
    given = ["evaluate", str(model), "--data", "Pendulum-v1", "--json"]
    sets = ["--set", 'kwargs={"g": 5.0}', "--set", "max_episode_steps=30"]
    assert cli.main([*given, "--output", str(tmp_path / "out"), *sets]) == 0
    report = Report.open(tmp_path / "out")
    assert report["episode_length"].value == 30
    assert report.details["environment"]["kwargs"] == {"g": 5.0}
    told = run.evaluate(
        model,
        data="Pendulum-v1",
        output=tmp_path / "again",
        settings={"kwargs": '{"g": 5.0}', "max_episode_steps": 30},
    )
    assert told["mean_return"] == report["mean_return"]
    capsys.readouterr()
    for wrong, said in (
        ("max_episode_steps=0", "max_episode_steps is 0"),
        ("kwargs={", "kwargs is '{', which is no JSON"),
        ("deterministic=1", "deterministic is 1"),
        ("kwarg=1", "evaluate has no setting `kwarg`"),
    ):
        assert cli.main([*given, "--output", str(tmp_path / "none"), "--set", wrong]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    assert cli.main(["evaluate", str(model), "--set", "kwargs={}"]) == 2
    assert "kwargs is set, which is of an environment" in capsys.readouterr().err


def test_an_environment_that_its_reset_leaves_changed_is_new_in_each_episode(
    tmp_path: Path,
) -> None:
    environment = collect(Remembering, tmp_path)
    assert environment.fresh
    of = episodes.seeds(environment, "new", 40)  # more than go on at once
    together = play(environment, Chance(environment.action), of, 20)
    for number in (0, 39):
        alone = play(environment, Chance(environment.action), of[number : number + 1], 20)
        assert alone.returns[0] == together.returns[number]


def test_an_environment_of_other_spaces_is_refused(walks: Path) -> None:
    environment = collect(f"{walks / 'wide.py'}:Walk", walks / "wide")
    with pytest.raises(UsageError, match=r"shows 3 numbers.*trained on 2 numbers"):
        evaluate_data(walks / "run" / "4-model", environment, None)
