"""Recipes hold settings that there are, and their table holds what was measured."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from silmu import registry
from silmu.steps.design.plan import FOR_IMAGES, FOR_SERIES, FOR_TABLES, FROM_NOTHING, probed

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
