"""Recipes hold settings that there are, and their table holds what was measured."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from silmu import registry
from silmu.steps.design.plan import FROM_NOTHING, probed

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
    assert model in FROM_NOTHING or model.startswith("package:")


def test_there_is_a_recipe_for_every_network() -> None:
    told = [tomllib.loads(path.read_text(encoding="utf-8"))["network"] for path in RECIPES]
    assert set(FROM_NOTHING) <= set(told)


def test_the_table_is_what_was_measured() -> None:
    page = (ROOT / "recipes" / "README.md").read_text(encoding="utf-8")
    found = measure_recipes.TABLE.search(page)
    assert found is not None
    assert measure_recipes.table() in found[0]
