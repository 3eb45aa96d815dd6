"""What happened lately, and batches of it drawn by chance (Lin 1992, Mnih et al. 2015).

Sources: https://doi.org/10.1007/BF00992699, https://doi.org/10.1038/nature14236.

An observation is kept once: what is seen after a step stands where the next step begins. Only
where an episode was cut it does not, for there the next begins anew, and the last observation is
kept beside.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from silmu.errors import StoreError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor


@final
@dataclass(frozen=True)
class Batch:
    """Steps that were drawn.

    Attributes:
        observations: (rows, size) or (rows, channels, height, width).
        actions: int64 (rows,) or float32 (rows, size).
        rewards: float32 (rows,).
        observations_after: what was seen after the step.
        goes_on: float32 (rows,): 0 where the episode ended by the step, 1 elsewhere, also where its
            time was up.
    """

    observations: Tensor
    actions: Tensor
    rewards: Tensor
    observations_after: Tensor
    goes_on: Tensor


@final
class Replay:
    """The newest steps of all environments.

    >>> replay = Replay(8, np.zeros((1, 3), np.float32), np.zeros((1,), np.int64))
    >>> now, after = np.zeros((1, 3), np.float32), np.ones((1, 3), np.float32)
    >>> no = np.array([False])
    >>> replay.add(now, np.array([1]), np.array([0.5]), after, ended=no, cut=no, last={})
    >>> batch = replay.batch(np.array([0, 5], np.uint64))
    >>> batch.rewards.tolist(), batch.observations_after[0].tolist()
    ([0.5, 0.5], [1.0, 1.0, 1.0])

    Args:
        capacity: how many steps are kept, over all environments.
        observations: of all environments, for their number, shape and type.
        actions: likewise.
    """

    def __init__(self, capacity: int, observations: NDArray[Any], actions: NDArray[Any]) -> None:
        self.num_environments = len(observations)
        # One row more than is drawn from: it holds what the newest step has come to.
        self.num_rows = max(capacity // self.num_environments, 1) + 1
        front = (self.num_rows, self.num_environments)
        # Memory that nobody wrote to is not taken.
        self.arrays: dict[str, NDArray[Any]] = {
            "observations": np.zeros((*front, *observations.shape[1:]), observations.dtype),
            "actions": np.zeros((*front, *actions.shape[1:]), actions.dtype),
            "rewards": np.zeros(front, np.float32),
            "ended": np.zeros(front, np.bool_),
            "cut": np.zeros(front, np.bool_),
        }
        self.flat = {name: one.reshape(-1, *one.shape[2:]) for name, one in self.arrays.items()}
        self.last: dict[int, NDArray[Any]] = {}
        self.num_added = 0

    def __len__(self) -> int:
        """How many steps can be drawn."""
        return min(self.num_added, self.num_rows - 1) * self.num_environments

    def add(
        self,
        observations: NDArray[Any],
        actions: NDArray[Any],
        rewards: NDArray[Any],
        observations_after: NDArray[Any],
        *,
        ended: NDArray[np.bool_],
        cut: NDArray[np.bool_],
        last: Mapping[int, NDArray[Any]],
    ) -> None:
        """Keep a step of every environment, in place of the oldest.

        Args:
            observations: what the actions answered.
            actions: what was done.
            rewards: what it brought.
            observations_after: what is answered next; of a new episode where one is over.
            ended: where the episode came to its end.
            cut: where only its time was up.
            last: by environment, the last observation of an episode that is over.
        """
        row = self.num_added % self.num_rows
        arrays = self.arrays
        for i in np.flatnonzero(arrays["cut"][row]).tolist():
            self.last.pop(row * self.num_environments + i, None)
        arrays["observations"][row] = observations
        arrays["actions"][row] = actions
        arrays["rewards"][row] = rewards
        arrays["ended"][row] = ended
        arrays["cut"][row] = cut & ~ended
        for i in np.flatnonzero(arrays["cut"][row]).tolist():
            self.last[row * self.num_environments + i] = np.array(last[i])
        arrays["observations"][(row + 1) % self.num_rows] = observations_after
        self.num_added += 1

    def batch(self, draws: NDArray[np.uint64]) -> Batch:
        """Steps that follow from raw random numbers, one each, all as likely."""
        back = (draws % np.uint64(len(self))).astype(np.int64)
        steps_back, environments = np.divmod(back, self.num_environments)
        rows = (self.num_added - 1 - steps_back) % self.num_rows
        places = rows * self.num_environments + environments
        after = (rows + 1) % self.num_rows * self.num_environments + environments
        flat = self.flat
        observations_after = flat["observations"][after]
        for i in np.flatnonzero(flat["cut"][places]).tolist():
            observations_after[i] = self.last[int(places[i])]
        return Batch(
            torch.from_numpy(flat["observations"][places]),
            torch.from_numpy(flat["actions"][places]),
            torch.from_numpy(flat["rewards"][places]),
            torch.from_numpy(observations_after),
            torch.from_numpy((~flat["ended"][places]).astype(np.float32)),
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """What was filled, without a copy: it changes when a step is added."""
        filled = min(self.num_added + 1, self.num_rows)
        tensors = {name: torch.from_numpy(one[:filled]) for name, one in self.arrays.items()}
        places = sorted(self.last)
        kept = np.stack([self.last[i] for i in places]) if places else self.flat["observations"][:0]
        tensors["last"] = torch.from_numpy(kept)
        tensors["last_places"] = torch.tensor(places, dtype=torch.int64)
        return tensors, {"num_added": self.num_added, "num_rows": self.num_rows}

    def restore(self, tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> None:
        """Be as the one was whose state it is.

        Raises:
            StoreError: it is of a replay of another size.
        """
        if plain["num_rows"] != self.num_rows:
            raise StoreError(
                f"the checkpoint is of a replay of {plain['num_rows'] - 1} steps of each "
                f"environment, and here it is one of {self.num_rows - 1}"
            )
        for name, one in self.arrays.items():
            stored = tensors[name].numpy()
            one[: len(stored)] = stored
        places = tensors["last_places"].tolist()
        self.last = {i: one.copy() for i, one in zip(places, tensors["last"].numpy(), strict=True)}
        self.num_added = int(plain["num_added"])


def capacity(steps: int, observations: NDArray[Any], *, most_bytes: int = 1 << 30) -> int:
    """How many steps are kept unless it is said: all, but no more than fit into a gigabyte."""
    each = observations.nbytes // len(observations) + 64
    return max(min(steps, most_bytes // each), 1)


def draws(key: int, count: int, batch_size: int) -> NDArray[np.uint64]:
    """Raw random numbers (count, batch_size) for `Replay.batch`.

    numpy changes what it makes of these between versions, never these.
    """
    return np.random.Philox(key=key).random_raw(count * batch_size).reshape(count, batch_size)
