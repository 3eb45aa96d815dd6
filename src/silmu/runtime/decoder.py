"""A causal language model as generation wants it: next-token logits, the cache inside.

The key-value cache is two buffers a layer, of the room that the generation can need. The attention
operator appends to them in place, so a step moves no cache. Rows are padded on the right; each has
its own length, and the operator masks what lies beyond it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InputError, InvalidModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from silmu.runtime.openvino import OpenVinoSession
    from silmu.runtime.session import Binding, Port, Session

CACHE, PRESENT = "past_key_values.", "present."
"""What the names of caches begin with where they go in, and where they come out."""

ATTENTION, DOMAIN = "ScaledDotProductAttention", "silmu"
"""An operator of query, key, value, mask and scale, which graphs for OpenVINO may have."""

NOWHERE = int(np.iinfo(np.int32).max)
"""The position of padding among keys: after every other, so that nothing sees it."""

_LANES = 16
"""How many float32 the widest vectors of processors have."""


class CachedDecoder:
    """A session of `graphs/` whose cache is bound, not copied.

    Args:
        session: a graph with the inputs input_ids, position_ids, last_token, seqlens_k,
            total_sequence_length and past_key_values.*.
        max_positions: how many tokens the model can see, prompt included.
    """

    def __init__(self, session: Session, max_positions: int) -> None:
        self.session = session
        self.max_positions = max_positions
        self._vocab = int(session.outputs["logits"].shape[-1] or 0)
        self._caches: dict[str, NDArray[np.float32]] = {}
        self._lengths: NDArray[np.int64] = np.zeros(0, np.int64)
        self._step: _Step | None = None

    def start(self, prompts: Sequence[Sequence[int]], capacity: int) -> NDArray[np.float32]:
        """Reads prompts, one row each, with room for `capacity` tokens a row in all.

        Returns:
            The logits after each prompt's last token, (rows, vocabulary).

        Raises:
            InputError: a prompt is empty, or longer than the model can see.
        """
        self._lengths = check_prompts(prompts, self.max_positions)
        longest = int(self._lengths.max(initial=0))
        rows, room = len(prompts), min(max(capacity, longest), self.max_positions)
        self._caches = {
            name: np.zeros((rows, _size(port, 1), room, _size(port, 3)), np.float32)
            for name, port in self.session.inputs.items()
            if name.startswith(CACHE)
        }
        step = _Step(self.session, self._caches, rows, longest, self._vocab)
        for row, prompt in enumerate(prompts):
            step.ids[row, : len(prompt)] = prompt
        step.positions[:] = np.arange(longest)
        step.last[:] = self._lengths - 1
        self._step = None
        return step.run(self._lengths)

    def step(
        self, tokens: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Reads one more token a row.

        Args:
            tokens: (rows,).
            rows: for each row, the earlier row that it continues; unchanged if None.

        Returns:
            Logits, (rows, vocabulary), in a buffer that the next step writes to again.
        """
        if rows is not None and not np.array_equal(rows, np.arange(len(self._lengths))):
            self._take(rows)
        if self._step is None or len(self._step.ids) != len(tokens):
            self._step = _Step(self.session, self._caches, len(tokens), 1, self._vocab)
        self._step.ids[:, 0] = tokens
        self._step.positions[:, 0] = self._lengths
        self._lengths = self._lengths + 1
        return self._step.run(self._lengths)

    def _take(self, rows: NDArray[np.int64]) -> None:
        filled = int(self._lengths.max())
        self._lengths = self._lengths[rows]
        same_count = len(rows) == len(next(iter(self._caches.values())))
        for name, cache in self._caches.items():
            if same_count:
                # What is bound stays bound: only the filled part moves, within the same buffer.
                cache[:, :, :filled] = cache[rows, :, :filled]
            else:
                grown = np.zeros((len(rows), *cache.shape[1:]), np.float32)
                grown[:, :, :filled] = cache[rows, :, :filled]
                self._caches[name] = grown
        if not same_count:
            self._step = None


class StatefulDecoder:
    """A graph of `graphs/` whose engine keeps the cache: OpenVINO's.

    Rows are padded on the right, and so is the cache: what lies between the end of a short prompt
    and the first new token stays there, and nothing sees it. Its weights are zero, but a sum over
    a text is made in as many parts as a vector of the processor has numbers, and padding moves what
    follows it from one part to another. So all prompts, one alone too, are padded to a whole number
    of vectors: a row is computed alike, to the last bit, with whatever neighbours.

    Args:
        session: with the inputs input_ids, position_ids, key_positions, last_token and beam_idx.
        max_positions: how many tokens the model can see, prompt included.
    """

    def __init__(self, session: OpenVinoSession, max_positions: int) -> None:
        self.max_positions = max_positions
        self._run = session.start()
        self._lengths: NDArray[np.int64] = np.zeros(0, np.int64)
        self._keys: NDArray[np.int64] = np.zeros((0, 0), np.int64)

    def start(self, prompts: Sequence[Sequence[int]], capacity: int) -> NDArray[np.float32]:
        """As `CachedDecoder.start`; the cache grows by itself, whatever the capacity."""
        self._lengths = check_prompts(prompts, self.max_positions)
        width = -(-int(self._lengths.max(initial=0)) // _LANES) * _LANES
        ids = np.zeros((len(prompts), width), np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, : len(prompt)] = prompt
        places = np.broadcast_to(np.arange(width, dtype=np.int64), ids.shape)
        is_there = places < self._lengths[:, None]
        self._keys = np.where(is_there, places, NOWHERE)
        positions = np.where(is_there, places, 0)  # the model may not have so many
        self._run.forget()
        return self._logits(ids, positions, self._lengths - 1, np.arange(len(prompts)))

    def step(
        self, tokens: NDArray[np.int64], rows: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """As `CachedDecoder.step`."""
        same = np.arange(len(tokens))
        rows = same if rows is None else rows
        if len(rows) != len(self._lengths):
            self._run.take(rows)
            self._lengths, self._keys, rows = self._lengths[rows], self._keys[rows], same
        positions = self._lengths[rows, None]
        self._keys = np.concatenate([self._keys[rows], positions], axis=1)
        self._lengths = positions[:, 0] + 1
        return self._logits(tokens[:, None], positions, np.zeros(len(rows), np.int64), rows)

    def _logits(
        self,
        ids: NDArray[np.int64],
        positions: NDArray[np.int64],
        last: NDArray[np.int64],
        rows: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        return self._run(
            {
                "input_ids": np.ascontiguousarray(ids),
                "position_ids": np.ascontiguousarray(positions),
                "key_positions": self._keys,
                "last_token": last,
                "beam_idx": rows.astype(np.int32),
            }
        )


def check_prompts(prompts: Sequence[Sequence[int]], max_positions: int) -> NDArray[np.int64]:
    """The lengths of prompts, none of which may be empty or longer than a model can see.

    Raises:
        InputError: one is.
    """
    lengths = np.array([len(prompt) for prompt in prompts], np.int64)
    longest = int(lengths.max(initial=0))
    if not lengths.all():
        raise InputError("a prompt has no tokens")
    if longest > max_positions:
        raise InputError(
            f"a prompt has {longest:,} tokens; this model sees at most "
            f"{max_positions:,}, the answer included",
            hint="shorten it, or cut it from the left with handle_long_generation='hole'",
        )
    return lengths


def _size(port: Port, axis: int) -> int:
    size = port.shape[axis]
    if not isinstance(size, int):
        raise InvalidModelError(f"the graph's cache has no fixed size: {port.shape}")
    return size


class _Step:
    """The bound arrays of one shape of input."""

    def __init__(
        self,
        session: Session,
        caches: dict[str, NDArray[np.float32]],
        rows: int,
        num_tokens: int,
        vocab: int,
    ) -> None:
        self.ids = np.zeros((rows, num_tokens), np.int64)
        self.positions = np.zeros((rows, num_tokens), np.int64)
        self.last = np.zeros(rows, np.int64)
        self.seen = np.zeros(rows, np.int32)
        self.total = np.zeros(1, np.int32)
        self.logits = np.zeros((rows, vocab), np.float32)
        arrays: dict[str, NDArray[Any]] = {
            "input_ids": self.ids,
            "position_ids": self.positions,
            "last_token": self.last,
            "seqlens_k": self.seen,
            "total_sequence_length": self.total,
            "logits": self.logits,
        }
        for name, cache in caches.items():
            arrays[name] = cache
            arrays[PRESENT + name.removeprefix(CACHE)] = cache
        self._binding: Binding = session.bind(arrays)

    def run(self, lengths: NDArray[np.int64]) -> NDArray[np.float32]:
        self.seen[:] = lengths - 1
        self.total[0] = lengths.max()
        self._binding.run()
        return self.logits
