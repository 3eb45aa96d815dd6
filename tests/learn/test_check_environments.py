"""Misbehaving environments: each a finding of check, and a typed error that names the step."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from misbehaving import AT, RESETS, STEPS, WHOLE, GlobalChance, Remembering, Walk

from silmu.cli import main
from silmu.errors import InputError, UsageError
from silmu.steps.collect import environments

REFUSED = {name for name, (_, _, severity) in WHOLE.items() if severity == "wrong"}
TAKEN = {"never reset", "constant", "rich", "blind"}
"""Wrong, and yet there are steps to be learnt from: check alone tells of them."""


def kinds(source: Any) -> dict[str, Any]:
    return {finding.kind: finding for finding in environments.check(source)}


def test_nothing_is_found_where_nothing_is_wrong() -> None:
    found = environments.check(Walk, settings={"max_episode_steps": 100})
    assert found == []
    for name in ("CartPole-v1", "Pendulum-v1"):
        assert not [one for one in environments.check(name) if one.severity == "wrong"], name


@pytest.mark.parametrize("name", STEPS)
def test_a_step_that_breaks_the_contract_is_found_and_named(name: str, tmp_path: Path) -> None:
    made, kind, part = STEPS[name]
    found = kinds(made)
    assert kind in found
    assert found[kind].severity == "wrong"
    assert f"step {AT} of episode 1, action " in found[kind].message
    assert part in found[kind].message
    assert found[kind].cure
    with pytest.raises(InputError, match=f"step {AT} of episode 1, action ") as caught:
        environments.collect(made, tmp_path / "1-dataset")
    assert part in caught.value.message
    assert caught.value.hint
    assert not (tmp_path / "1-dataset").exists()


@pytest.mark.parametrize("name", RESETS)
def test_a_reset_that_breaks_the_contract_is_found_and_named(name: str, tmp_path: Path) -> None:
    made, kind, part = RESETS[name]
    found = kinds(made)
    assert found[kind].severity == "wrong"
    assert "the reset of episode 2: " in found[kind].message
    assert part in found[kind].message
    with pytest.raises(InputError, match="the reset of episode 2: "):
        environments.collect(made, tmp_path / "1-dataset")


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_wrong_as_a_whole_is_found(name: str, tmp_path: Path) -> None:
    made, kind, severity = WHOLE[name]
    found = kinds(made)
    assert found[kind].severity == severity
    if severity == "note":
        assert not [one for one in found.values() if one.severity == "wrong"]
    if name in REFUSED - TAKEN:
        with pytest.raises((InputError, UsageError)):
            environments.collect(made, tmp_path / "1-dataset")
    else:
        environments.collect(made, tmp_path / "1-dataset")


def test_an_endless_episode_is_one_where_nothing_limits_it() -> None:
    endless = WHOLE["endless"][0]
    assert "step 10000 of episode 1" in kinds(endless)["never ends"].message
    limited = environments.check(endless, settings={"max_episode_steps": 50})
    assert "never ends" not in {one.kind for one in limited}


def test_the_step_that_differs_is_named_and_who_wants_it_may_have_it(tmp_path: Path) -> None:
    finding = kinds(GlobalChance)["not deterministic"]
    assert "step 1 of episode 1, action " in finding.message
    assert "random.random" in finding.cure
    with pytest.raises(InputError, match="step 1 of episode 1"):
        environments.collect(GlobalChance, tmp_path / "1-dataset")
    taken = environments.collect(
        GlobalChance, tmp_path / "1-dataset", settings={"deterministic": False}
    )
    assert not taken.deterministic
    remembering = environments.collect(Remembering, tmp_path / "other")
    assert (remembering.deterministic, remembering.fresh) == (True, True)


def test_several_faults_of_one_step_are_told_together() -> None:
    class Broken(Walk):
        def step(self, action: Any) -> Any:
            super().step(action)
            return None, float("nan"), "no", False, None

    found = kinds(Broken)
    assert {"observation type", "not a number", "end type", "info"} <= set(found)
    assert found["info"].count > 1


def test_check_leaves_the_chance_of_the_program_as_it_was() -> None:
    import random

    random.seed(3)
    expected = [random.random() for _ in range(3)]
    random.seed(3)
    first = random.random()
    environments.check("CartPole-v1")
    assert [first, random.random(), random.random()] == expected


FILE = """
import gymnasium
import numpy as np

class Coin(gymnasium.Env):
    observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.side, self.steps = int(self.np_random.integers(2)), 0
        return np.array([self.side], np.float32), {}

    def step(self, action):
        self.steps += 1
        reward = REWARD
        self.side = int(self.np_random.integers(2))
        return np.array([self.side], np.float32), reward, self.steps > 8, False, {}
"""


def test_the_command_tells_what_is_found(tmp_path: Path, capsys: Any) -> None:
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(FILE.replace("REWARD", "float(action == self.side)"))
    # Whatever it prints, what is told stays JSON.
    reward = "print('noise') or (float('nan') if self.steps == 7 else 1.0)"
    bad.write_text(FILE.replace("REWARD", reward))
    check = ["check", "reinforcement-learning", "--set", "max_episode_steps=20", "--data"]
    assert main([*check, f"{good}:Coin"]) == 0
    assert "nothing wrong, 0 notes" in capsys.readouterr().out
    assert main([*check, str(bad), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert found[0]["kind"] == "not a number"
    assert "step 7 of episode 1" in found[0]["message"]
    assert main([*check, str(bad)]) == 1
    told = capsys.readouterr().out
    assert "1 wrong" in told
    assert "cure: " in told
    assert main([*check, "CartPol-v1"]) == 2
    assert "CartPole-v1" in capsys.readouterr().err
    assert main([*check, f"{good}:Coin", "--target", "x"]) == 2
    assert main([*check, f"{good}:Coin", "--set", "query=1"]) == 2
