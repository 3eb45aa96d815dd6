"""Recipes hold settings that there are, and their table holds what was measured."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import gymnasium
import pytest

from silmu import registry
from silmu.steps.design.plan import (
    FOR_IMAGES,
    FOR_POLICIES,
    FOR_SERIES,
    FOR_TABLES,
    FROM_NOTHING,
    probed,
)
from silmu.steps.train.reinforcement import algorithms

ROOT = Path(__file__).parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*/*.toml"))

sys.path.insert(0, str(ROOT / "tools"))
import measure_recipes  # noqa: E402 - it is no package


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_can_be_followed(recipe: Path) -> None:
    settings = tomllib.loads(recipe.read_text(encoding="utf-8"))
    task = settings.pop("task")
    assert recipe.parent.name == task
    name = "".join(word.capitalize() for word in task.split("-"))
    config = getattr(registry.task_module(task), name).Config().changed(settings)
    assert config.data
    model = probed(config.network) or config.network
    kinds = {
        "text-classification": FROM_NOTHING,
        "image-classification": FOR_IMAGES,
        "time-series-forecasting": FOR_SERIES,
        "reinforcement-learning": FOR_POLICIES,
    }
    assert model in kinds.get(task, FOR_TABLES) or model.startswith("package:")


@pytest.mark.parametrize(
    ("task", "networks"),
    [
        ("text-classification", FROM_NOTHING),
        ("tabular-classification", FOR_TABLES),
        ("tabular-regression", FOR_TABLES),
        ("image-classification", FOR_IMAGES),
        ("time-series-forecasting", FOR_SERIES),
    ],
)
def test_there_is_a_recipe_for_every_network(task: str, networks: tuple[str, ...]) -> None:
    own = [path for path in RECIPES if path.parent.name == task]
    told = [tomllib.loads(path.read_text(encoding="utf-8"))["network"] for path in own]
    assert {*networks} <= {*told}


def test_recipes_of_policies_are_for_what_their_algorithm_takes() -> None:
    own = [path for path in RECIPES if path.parent.name == "reinforcement-learning"]
    told: set[str] = set()
    for path in own:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
        assert path.stem.endswith(f"-{settings['algorithm']}")
        assert settings["data"].lower().startswith(path.stem.rpartition("-")[0])
        assert gymnasium.spec(settings["data"]).max_episode_steps
        assert algorithms.decided(settings["algorithm"], settings, None)
        told.add(settings["algorithm"])
    assert told == {*algorithms.LEARNERS}


def test_the_table_is_what_was_measured() -> None:
    page = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
    found = measure_recipes.TABLE.search(page)
    assert found is not None
    assert measure_recipes.table() in found[0]


def test_each_stands_beside_the_strong_baseline_of_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(value: float, verdict: str) -> dict[str, object]:
        figures = {"": value, "median": 3000.4, "linear": 801.0, "boosted_trees": 290.26}
        told = {name: {"mean_absolute_error": {"value": of}} for name, of in figures.items()}
        return {
            "metric": "mean_absolute_error",
            "metrics": told.pop(""),
            "baselines": told,
            "comparison": {"against": "boosted_trees", "verdict": verdict},
            "seconds": {"train": 90.0},
            "parameters": 12_345,
        }

    result = {
        "recipe": "recipes/tabular-regression/diamonds-tabm.toml",
        "date": "2026-11-30",
        "machine": "two cores",
        "seeds": {"0": run(280.04, "better"), "1": run(300.0, "no clear difference")},
    }
    (tmp_path / "diamonds-tabm.json").write_text(json.dumps(result))
    monkeypatch.setattr(measure_recipes, "RESULTS", tmp_path)
    assert measure_recipes.table().splitlines()[2:] == [
        "| [diamonds-tabm](tabular-regression/diamonds-tabm.toml) | mean absolute error "
        "| 290.0 (280.0 to 300.0), 2 | 290.3, boosted trees | 3,000, median "
        "| 1.5 min | 12,345 | better 1/2, no clear difference 1/2 |",
        "",
        "2026-11-30, two cores.",
    ]


def test_policies_have_a_table_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(value: float, low: float, high: float, steps: int) -> dict[str, object]:
        figures = {"": (value, low, high), "random": (22.5, 20, 25), "idle": (9.3, 9, 10)}
        told = {
            name: {"mean_return": dict(zip(("value", "low", "high"), one, strict=True))}
            for name, one in figures.items()
        }
        return {
            "metric": "mean_return",
            "metrics": told.pop(""),
            "baselines": told,
            "comparison": {"against": "random", "verdict": "better"},
            "seconds": {"train": 30.0},
            "parameters": 9_155,
            "steps": steps,
        }

    result = {
        "recipe": "recipes/reinforcement-learning/cartpole-ppo.toml",
        "date": "2026-11-30",
        "machine": "two cores",
        "seeds": {"0": run(500.0, 500.0, 500.0, 120_000), "1": run(490.0, 480.5, 498.0, 120_000)},
    }
    (tmp_path / "cartpole-ppo.json").write_text(json.dumps(result))
    monkeypatch.setattr(measure_recipes, "RESULTS", tmp_path)
    told = measure_recipes.table().splitlines()
    assert told[2] == ""
    assert told[3].startswith("| policy | mean return")
    assert len({line.count("|") for line in told[3:6]}) == 1
    assert told[5:] == [
        "| [cartpole-ppo](reinforcement-learning/cartpole-ppo.toml) | 495.0 (490.0 to 500.0), 2 "
        "| 500.0 to 500.0, 480.5 to 498.0 | 500 after 100,000 | 22.5 | 9.300 | 120,000 | 0.5 min "
        "| 9,155 | better 2/2 |",
        "",
        "2026-11-30, two cores.",
    ]


def test_a_policy_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure_recipes, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(measure_recipes, "RUNS", tmp_path / "runs")
    few = {"total_steps": 256, "hidden_size": 8, "num_environments": 2, "num_steps": 32}
    few |= {"evaluations": 1, "judged_episodes": 2, "episodes": 5}
    more = [f"--set={name}={value}" for name, value in few.items()]
    measure_recipes.measure("cartpole-ppo", [3], more)
    result = json.loads((tmp_path / "results" / "cartpole-ppo.json").read_bytes())
    assert result["seeds"]["3"]["steps"] == 256
    assert "| 256 | 0." in measure_recipes.table()
