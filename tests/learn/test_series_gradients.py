"""How far back recurrent cells learn from: what is measured, and what a report says of it."""

from __future__ import annotations

import copy
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from silmu.steps.collect import collect
from silmu.steps.evaluate.series import memory
from silmu.steps.prepare import prepare_series
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import series_gradients
from silmu.steps.train.series_gradients import CELLS, Cell, gradients, measure, reach

CONTEXT = 24


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A week and noise, with days that are missing."""
    place = tmp_path_factory.mktemp("series")
    random = np.random.default_rng(0)
    start = np.datetime64("2022-01-01")
    rows = [
        {"date": str(start + day), "sales": 10 + np.sin(day * 2 * np.pi / 7) + random.normal() / 9}
        for day in range(420)
        if day % 53
    ]
    dataset = collect(rows, place / "1-dataset", kind="series", target="sales")
    sizes = {"prediction_length": 7, "context_length": CONTEXT}
    return prepare_series(dataset, place / "2-prepared", settings=sizes)


@pytest.fixture(scope="module")
def measured(prepared: Prepared) -> dict[str, Any]:
    return measure(prepared, seed=3, seconds=1)


def window(rows: int = 1) -> dict[str, torch.Tensor]:
    values = torch.randn(1, CONTEXT, generator=torch.Generator().manual_seed(1))
    return {
        "past_values": values.repeat(rows, 1),
        "past_observed_mask": torch.ones(rows, CONTEXT),
    }


@pytest.mark.parametrize("kind", CELLS)
def test_a_gradient_is_the_norm_of_the_jacobian(kind: str) -> None:
    torch.manual_seed(0)
    network, one = Cell(kind, 7, 9), window()
    mask = one["past_observed_mask"]
    jacobian = torch.autograd.functional.jacobian(
        lambda values: network.state(values, mask)[0], one["past_values"]
    )
    exact = jacobian[:, 0].norm(dim=0).flip(0).numpy()
    # Random signs tell its square on average: over so many, within a few percent.
    found = gradients(network, window(rows=4000), seed=5)
    np.testing.assert_allclose(found, exact, rtol=0.1)


def test_what_was_not_observed_is_not_counted() -> None:
    torch.manual_seed(0)
    network, two = Cell("gru", 7, 9), window(rows=2)
    two["past_observed_mask"][:, 10] = 0
    two["past_observed_mask"][1, 20] = 0
    found = gradients(network, two, seed=5)
    assert found[CONTEXT - 1 - 10] == 0
    one = {name: value[:1] for name, value in two.items()}
    alone = gradients(network, one, seed=5)
    assert found[CONTEXT - 1 - 20] == pytest.approx(alone[CONTEXT - 1 - 20])


def test_reach_is_where_the_last_large_gradient_is() -> None:
    assert reach(np.array([1.0, 2.0, 0.9, 1.1, 0.1]), 0.5) == 4
    assert reach(np.array([1.0, 0.1, 0.001]), 0.01) == 2
    assert reach(np.ones(5), 0.5) == 5
    assert reach(np.zeros(5), 0.5) == 0


def test_cells_as_torch_makes_them_forget_within_some_steps(measured: dict[str, Any]) -> None:
    for name in CELLS:
        before = measured["cells"][name]["before"]
        assert len(before["gradients"]) == CONTEXT
        assert all(0 <= one < 1 for one in before["gradients"])
        assert 1 <= before["reach"]["half"] <= 4
        assert before["reach"]["half"] <= before["reach"]["tenth"] <= before["reach"]["hundredth"]
        assert before["reach"]["hundredth"] <= 15


def test_training_makes_cells_remember_a_week(measured: dict[str, Any]) -> None:
    for name in CELLS:
        after, before = (measured["cells"][name][when]["reach"] for when in ("after", "before"))
        assert after["tenth"] > max(before["tenth"], 7)


def test_cells_learn(measured: dict[str, Any]) -> None:
    # What a normal distribution around the mean of a sine with little noise would lose is 0.58.
    assert all(0 < measured["cells"][name]["loss"] < 0.4 for name in CELLS)
    assert measured["updates"] == series_gradients.LEAST + 38


def test_the_same_seed_measures_the_same(prepared: Prepared, measured: dict[str, Any]) -> None:
    state = torch.get_rng_state()
    assert measure(prepared, seed=3, seconds=1) == measured
    assert torch.equal(torch.get_rng_state(), state)
    assert measure(prepared, seed=4, seconds=0)["cells"] != measured["cells"]


def test_what_is_left_in_a_run_is_read_again(tmp_path: Path, measured: dict[str, Any]) -> None:
    assert memory.of_run(tmp_path) is None
    path = tmp_path / memory.FILE
    assert path.name == series_gradients.FILE
    path.parent.mkdir()
    path.write_text(json.dumps(measured), encoding="utf-8")
    assert memory.of_run(tmp_path) == measured
    path.write_text('{"cells": {"rnn": {}}}', encoding="utf-8")
    assert memory.of_run(tmp_path) is None
    path.write_text("{", encoding="utf-8")
    assert memory.of_run(tmp_path) is None


class Tags(HTMLParser):
    """Refuses tags that are not closed in the order in which they were opened."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.lines: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.lines += [dict(attrs)["points"] or "" for _ in range(tag == "polyline")]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag


def test_the_page_draws_both_pictures(measured: dict[str, Any]) -> None:
    page = memory.section(measured)
    assert page is not None
    tags = Tags()
    tags.feed(page)
    assert not tags.stack
    assert len(tags.lines) == 6
    for line in tags.lines:
        places = [tuple(map(float, point.split(","))) for point in line.split()]
        assert 2 <= len(places) <= CONTEXT
        assert all(0 <= x <= 100 and 0 <= y <= 100 for x, y in places)
        assert min(y for _, y in places) == 0, "the largest is drawn at the top"
    assert memory.section(None) is None


def test_nothing_is_left_of_a_gradient(measured: dict[str, Any]) -> None:
    told = copy.deepcopy(measured)
    for when in ("before", "after"):
        told["cells"]["rnn"][when]["gradients"] = [0.0] * CONTEXT
    assert memory.section(told) is not None


@pytest.mark.parametrize(
    ("reaches", "losses", "said"),
    [
        (
            (30, 90, 80),
            (0.25, 0.22, 0.23),
            "The LSTM and GRU keep what the plain RNN forgets, and the loss of the LSTM is 12 % "
            "below that of the plain RNN.",
        ),
        (
            (30, 90, 35),
            (0.25, 0.25, 0.25),
            "The LSTM keeps what the plain RNN forgets, but their losses are alike: these series "
            "ask for no longer memory.",
        ),
        (
            (12, 10, 13),
            (0.42, 0.421, 0.424),
            "All three learnt to remember about equally far, and their losses are alike: these "
            "series ask for no longer memory.",
        ),
        (
            (48, 46, 40),
            (0.31, 0.61, 0.39),
            "All three learnt to remember about equally far, and the plain RNN has the smallest "
            "loss.",
        ),
        (
            (60, 20, 20),
            (0.30, 0.31, 0.24),
            "Here gates make no longer memory, but the loss of the GRU is 20 % below that of the "
            "plain RNN.",
        ),
    ],
)
def test_the_sentence_says_what_was_found(
    measured: dict[str, Any],
    reaches: tuple[int, ...],
    losses: tuple[float, ...],
    said: str,
) -> None:
    told = copy.deepcopy(measured)
    for name, far, loss in zip(CELLS, reaches, losses, strict=True):
        told["cells"][name]["after"]["reach"]["hundredth"] = far
        told["cells"][name]["loss"] = loss
    found = memory.sentence(told)
    assert said in found
    assert f"reached {reaches[0]} steps back in the plain RNN" in found


def test_the_sentence_says_where_the_whole_window_is_reached(measured: dict[str, Any]) -> None:
    told = copy.deepcopy(measured)
    told["cells"]["gru"]["after"]["reach"]["hundredth"] = CONTEXT
    told["cells"]["rnn"]["after"]["reach"]["hundredth"] = 1
    found = memory.sentence(told)
    assert f"all {CONTEXT} steps in the GRU" in found
    assert "reached 1 step back in the plain RNN" in found
