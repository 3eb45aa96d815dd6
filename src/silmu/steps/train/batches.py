"""Which examples make up which step, and the loader that brings them.

The order is computed from the seed and the epoch, so any step can be reached without walking
through those before it, and nothing that was drawn before decides what is drawn next.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import copy
import hashlib
import random
import signal
import warnings
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from silmu.steps.train.objective import Objective

BUCKET = 50
"""Of so many shuffled batches the examples are sorted by length before they are cut again."""


def derive(*parts: int | str) -> int:
    """A number of 63 bits that follows from others, and looks as if it did not.

    >>> derive(0, 1) == derive(0, 1), derive(0, 1) == derive(1, 0)
    (True, False)
    """
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def seed_all(seed: int) -> None:
    """Let all sources of random numbers follow from one number."""
    # Not torch.manual_seed, which takes note of the whole call stack for a CUDA not yet in use.
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)
    np.random.seed(seed % (1 << 32))
    random.seed(seed)


@final
class Plan:
    """The steps of a training, each with the indices of its examples.

    >>> plan = Plan(10, 4, seed=0)
    >>> plan.per_epoch, sorted(i for step in range(3) for i in plan.indices(step).tolist())
    (3, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])

    Args:
        num_examples: how many there are.
        batch_size: how many of them make up a step, over all processes and pieces.
        seed: from which, with the epoch, the order follows.
        lengths: of each example, if batches shall be of like lengths: shuffled, sorted in stretches
            of BUCKET batches, cut, and the batches shuffled.
        pieces: in how many a process computes its share of a batch.
        rank: which share of each batch is this process's.
        world: how many processes there are.
    """

    def __init__(
        self,
        num_examples: int,
        batch_size: int,
        *,
        seed: int,
        lengths: NDArray[np.integer[Any]] | None = None,
        pieces: int = 1,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.num_examples, self.batch_size, self.seed = num_examples, batch_size, seed
        self.lengths = None if lengths is None else np.asarray(lengths)
        self.num_pieces, self.rank, self.world = pieces, rank, world
        self.per_epoch = -(-num_examples // batch_size)
        # Two, because the loader may be in the next epoch already.
        self._epoch = lru_cache(maxsize=2)(self._order)

    def epoch_of(self, step: int) -> int:
        """In which epoch, from 0, a step is."""
        return step // self.per_epoch

    def indices(self, step: int) -> NDArray[np.int64]:
        """The examples of a step, over all processes."""
        epoch, position = divmod(step, self.per_epoch)
        return self._epoch(epoch)[position]

    def pieces(self, step: int) -> list[NDArray[np.int64]]:
        """The examples of a step that are this process's, in the pieces that it computes."""
        own = self.indices(step)[self.rank :: self.world]
        return [piece for piece in np.array_split(own, self.num_pieces) if len(piece)]

    def _order(self, epoch: int) -> list[NDArray[np.int64]]:
        # Raw numbers of a counter-based generator, sorted: numpy changes its shuffles, never these.
        draws = np.random.Philox(key=derive(self.seed, "order", epoch))
        order = np.argsort(draws.random_raw(self.num_examples), kind="stable")
        size = self.batch_size
        if self.lengths is not None:
            stretch = size * BUCKET
            for start in range(0, len(order), stretch):
                some = order[start : start + stretch]
                by_length = np.argsort(self.lengths[some], kind="stable")
                order[start : start + stretch] = some[by_length]
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        if self.lengths is not None:
            shuffled = np.argsort(draws.random_raw(len(batches)), kind="stable")
            batches = [batches[i] for i in shuffled.tolist()]
            if epoch == 0:
                # The batch that needs the most memory comes first: what does not fit fails at once.
                most = max(range(len(batches)), key=lambda i: self._cost(batches[i]))
                batches[0], batches[most] = batches[most], batches[0]
        return batches

    def _cost(self, batch: NDArray[np.int64]) -> int:
        assert self.lengths is not None
        return len(batch) * int(self.lengths[batch].max())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_epoch"}


def load(
    objective: Objective, plan: Plan, first: int, last: int, *, workers: int, pin: bool = False
) -> Iterator[dict[str, Tensor]]:
    """The batches of the steps from `first` up to `last`, piece by piece.

    How many workers make them ahead of time changes nothing but the speed.
    """
    loader: DataLoader[dict[str, Tensor]] = DataLoader(
        _Batches(objective),
        batch_size=None,
        sampler=_Places(plan, first, last),
        num_workers=workers,
        collate_fn=_as_it_is,
        pin_memory=pin,
        worker_init_fn=_in_worker,
        # Its own, for the loader draws a number that nobody else must miss.
        generator=torch.Generator().manual_seed(0),
    )
    with warnings.catch_warnings():
        # Of threads in a forked process; a worker uses none of those that were there.
        warnings.filterwarnings("ignore", ".*use of fork", DeprecationWarning)
        return iter(loader)


_Place = tuple["NDArray[np.int64]", int]


@final
class _Places:
    """What the loader shall bring, in order."""

    def __init__(self, plan: Plan, first: int, last: int) -> None:
        self.plan, self.first, self.last = plan, first, last

    def __iter__(self) -> Iterator[_Place]:
        for step in range(self.first, self.last):
            seed = derive(self.plan.seed, "examples", self.plan.epoch_of(step))
            for piece in self.plan.pieces(step):
                yield piece, seed


@final
class _Batches(Dataset["dict[str, Tensor]"]):
    def __init__(self, objective: Objective) -> None:
        self.objective = objective

    def __getitem__(self, place: _Place) -> dict[str, Tensor]:
        indices, seed = place
        # For what draws from the global generators after all: the same in whichever process.
        seed_all(derive(seed, int(indices[0])))
        return self.objective.batch(indices, seed)

    def __getstate__(self) -> dict[str, Any]:
        # Where workers are not forked, what they are sent must be small: they need no network.
        lean = copy.copy(self.objective)
        vars(lean).pop("network", None)
        return {"objective": lean}


def _as_it_is(batch: Any) -> Any:
    return batch


def _in_worker(_: int) -> None:
    # Ctrl-C goes to every process of a terminal; the one that trains decides what follows.
    for name in ("SIGINT", "SIGHUP"):
        with suppress(AttributeError):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
