"""How far back a plain RNN, an LSTM and a GRU learn from, measured on the user's own windows.

A recurrent network learns what a value long ago means through a product of as many matrices as
there are steps between: that product vanishes or explodes (Bengio et al. 1994,
https://doi.org/10.1109/72.279181; Pascanu et al. 2013, https://arxiv.org/abs/1211.5063). The cell
of an LSTM (Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735) and the state
of a GRU (Cho et al. 2014, https://arxiv.org/abs/1406.1078) are carried on by gates instead.

Measured are the cells of torch.nn as they come, one layer each, with nothing around them that would
help: they read values alone, no calendar, and begin with torch's own weights. The networks of
`silmu.networks.series` begin with orthogonal matrices and stand on a line through the past, so
that of these even the plain RNN forgets later.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from silmu.steps.train.batches import derive
from silmu.steps.train.series import SeriesObjective

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared

FILE = "gradients.json"
CELLS = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}

HIDDEN_SIZE, BATCH_SIZE = 32, 64
LEARNING_RATE, CLIP = 3e-3, 1.0

SHOWN = 256
"""Windows of the validation part that gradients are the mean of."""

COST = 1e-4
"""Seconds of an update for each step that is read, about, on one core."""
LEAST, MOST = 100, 400
"""Updates of a cell."""

DIGITS = 6


def measure(prepared: Prepared, *, seed: int = 0, seconds: float = 15.0) -> dict[str, Any]:
    """Trains the three cells for a short while, and tells how far back their gradients reach.

    Of each, before and after: the root mean square over windows of how much the last state moves
    with the value so many steps before it, the Frobenius norm of d state / d value, estimated by
    random signs (Hutchinson 1990, https://doi.org/10.1080/03610919008812866).

    Args:
        prepared: whose training windows are learnt.
        seed: of weights, and of which windows are learnt when.
        seconds: how long it should take, about. The number of updates follows from it and from the
            length of the windows, never from a clock, so that the same seed measures the same.

    Returns:
        What FILE holds: `updates`, `windows` and sizes, and of each of `cells` its `parameters`,
        `loss` on the validation part, and `before` and `after`, each with `gradients`, first of the
        last value that is read, and how many steps back they `reach`, as of `reach`.
    """
    wanted: dict[str, Any] = {"head": "quantiles"}
    with torch.random.fork_rng(devices=[]):
        found: dict[str, Any] = {}
        objective = SeriesObjective(nn.Identity(), prepared, wanted)
        processor = objective.processor
        updates = _updates(seconds, processor.context_length)
        shown = _shown(objective, seed)
        for name in CELLS:
            torch.default_generator.manual_seed(derive(seed, name))
            network = Cell(name, processor.prediction_length, len(processor.quantiles))
            objective.network = network
            before = gradients(network, shown, derive(seed, "signs"))
            _learn(objective, updates, seed)
            after = gradients(network, shown, derive(seed, "signs"))
            network.eval()
            with torch.no_grad():
                loss = objective.validate()["loss"]
            found[name] = {
                "parameters": sum(one.numel() for one in network.cell.parameters()),
                "loss": _rounded(loss),
                "before": _told(before),
                "after": _told(after),
            }
    return {
        "seed": seed,
        "updates": updates,
        "batch_size": BATCH_SIZE,
        "hidden_size": HIDDEN_SIZE,
        "windows": objective.num_examples,
        "shown": len(shown["past_values"]),
        "context_length": processor.context_length,
        "prediction_length": processor.prediction_length,
        "season": processor.season,
        "cells": found,
    }


class Cell(nn.Module):
    """A recurrent layer of torch, and a linear map of its last state to the horizon.

    Args:
        kind: one of CELLS.
        prediction_length: steps that are told.
        outputs: numbers of each.
    """

    def __init__(self, kind: str, prediction_length: int, outputs: int) -> None:
        super().__init__()
        self.cell = CELLS[kind](2, HIDDEN_SIZE, batch_first=True)
        self.outputs = outputs
        self.head = nn.Linear(HIDDEN_SIZE, prediction_length * outputs)

    def state(self, past_values: Tensor, past_observed_mask: Tensor) -> Tensor:
        """(rows, context) -> (rows, HIDDEN_SIZE), what is remembered after the last step."""
        states, _ = self.cell(torch.stack([past_values, past_observed_mask], -1))
        return states[:, -1]

    def forward(self, past_values: Tensor, past_observed_mask: Tensor, **_: Tensor) -> Tensor:
        """(rows, prediction, outputs); what else is known of a window is not read."""
        found = self.head(self.state(past_values, past_observed_mask))
        return found.unflatten(1, (-1, self.outputs))


def gradients(network: Cell, windows: dict[str, Tensor], seed: int) -> NDArray[np.float64]:
    """How much the last state moves with each value, first with the last that is read.

    Args:
        network: a cell, not changed.
        windows: `past_values` and `past_observed_mask` (rows, context).
        seed: of the random signs.

    Returns:
        (context,); 0 where no window has an observed value.
    """
    values = windows["past_values"].clone().requires_grad_()
    mask = windows["past_observed_mask"]
    state = network.state(values, mask)
    draws = torch.Generator().manual_seed(seed)
    signs = torch.randint(0, 2, state.shape, generator=draws).to(state) * 2 - 1
    (slopes,) = torch.autograd.grad((state * signs).sum(), values)
    squares = (slopes.double().square() * mask).sum(0) / mask.sum(0).clamp(min=1)
    return squares.sqrt().flip(0).numpy()


def reach(sizes: NDArray[np.float64], share: float) -> int:
    """From how many steps back on all gradients stay below a share of the largest.

    >>> reach(np.array([1.0, 2.0, 0.9, 1.1, 0.1]), 0.5)
    4
    >>> reach(np.zeros(3), 0.5)
    0
    """
    above = np.flatnonzero((sizes >= share * sizes.max()) & (sizes > 0))
    return int(above[-1]) + 1 if len(above) else 0


def _updates(seconds: float, context_length: int) -> int:
    wanted = seconds / len(CELLS) / (COST * max(context_length, 1))
    return int(np.clip(wanted, LEAST, MOST))


def _shown(objective: SeriesObjective, seed: int) -> dict[str, Tensor]:
    """Windows of the validation part, with as much of the past as there is."""
    part = objective.validation
    random = np.random.default_rng(derive(seed, "shown"))
    count = len(part)
    some = np.sort(random.choice(count, min(SHOWN, count), replace=False))
    windows = np.asarray(part.windows[some])
    feeds = objective.processor.arrays(part.tracks, windows[:, 0], windows[:, 1]).feeds
    names = ("past_values", "past_observed_mask")
    return {name: torch.from_numpy(np.ascontiguousarray(feeds[name])) for name in names}


def _learn(objective: SeriesObjective, updates: int, seed: int) -> None:
    """The same windows in the same order for every cell."""
    network = objective.network.train()
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    random = np.random.default_rng(derive(seed, "order"))
    count = objective.num_examples
    for _ in range(updates):
        total, weight = objective.loss(objective.batch(random.integers(0, count, BATCH_SIZE), 0))
        optimizer.zero_grad()
        (total / weight).backward()
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimizer.step()


def _told(sizes: NDArray[np.float64]) -> dict[str, Any]:
    shares = {"half": 0.5, "tenth": 0.1, "hundredth": 0.01}
    return {
        "gradients": [_rounded(one) for one in sizes.tolist()],
        "reach": {name: reach(sizes, share) for name, share in shares.items()},
    }


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
