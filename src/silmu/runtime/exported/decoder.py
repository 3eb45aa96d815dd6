"""A foreign causal language model as generation wants it: with a cache, in two graphs, or without.

Exporters agree on names, not on what becomes of padding. So rows share a batch only where nothing
depends on that: where they have the same length, or where the graph is given positions and a mask,
and so can be padded on the left. Rows never move from one batch to another; a text that continues
another stays where that was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime.decoder import check_prompts
from silmu.runtime.exported import caches, inputs
from silmu.runtime.genai import Names
from silmu.runtime.session import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.session import ForeignSession, Port

    Ids = NDArray[np.int64]

MAX_SCORES = 1 << 27
"""Numbers that are scored at once, half a gigabyte: an export may score every token of a prompt."""


@dataclass(frozen=True)
class DecoderGraph:
    """A graph of a decoder and what its tensors are called.

    Attributes:
        asked: the inputs that are no caches.
        past: the caches that it reads; empty if it reads whole texts only.
        present: the output that continues each cache.
        logits: the output with the scores of the next token.
        in_place: whether it writes to the caches that it is given, which have room to the end.
    """

    session: ForeignSession
    asked: Mapping[str, Port]
    past: Mapping[str, Port]
    present: Mapping[str, str]
    logits: str
    renamed: Mapping[str, str]
    in_place: bool

    @classmethod
    def of(
        cls,
        session: ForeignSession,
        names: Names | None = None,
        present: Mapping[str, str] | None = None,
    ) -> DecoderGraph:
        """A graph whose tensors have the usual names, or those that `names` tells.

        Args:
            present: the caches that it makes, if it is for the first step only.

        Raises:
            UnsupportedModelError: it asks for unknown inputs, or scores no tokens.
            InvalidModelError: it names caches that it does not continue.
        """
        what = session.graph.name
        given = names or Names()
        if present is None and names is not None:
            present = {past: now for past, now in names.caches.items() if past in session.inputs}
        elif present is None:
            present = caches.pairs(session.inputs, session.outputs, what)
        if lost := sorted({given.logits, *present.values()} - {*session.outputs}):
            raise UnsupportedModelError(
                f"{what} was not exported for text-generation: it gives no {', '.join(lost[:4])}",
                hint=f"it gives {', '.join([*session.outputs][:8])}",
            )
        if len(session.outputs[given.logits].shape) != 3:
            raise UnsupportedModelError(
                f"{what} was not exported for text-generation: its {given.logits} are "
                f"{list(session.outputs[given.logits].shape)}"
            )
        past = {name: session.inputs[name] for name in present if name in session.inputs}
        asked = {name: port for name, port in session.inputs.items() if name not in past}
        inputs.check_known((given.inputs.get(name, name) for name in asked), what)
        in_place = not given.grows and isinstance(session.outputs[given.logits].shape[-1], int)
        return cls(session, asked, past, present, given.logits, given.inputs, in_place)

    def asks_for(self, name: str) -> bool:
        """Whether it asks for an input, by its usual name."""
        return any(self.renamed.get(one, one) == name for one in self.asked)

    def run(
        self, ids: Ids, mask: Ids, cached: Mapping[str, Value]
    ) -> tuple[NDArray[np.float32], dict[str, Value]]:
        """The logits after the last token of each row, and the caches that go on from there."""
        arrays = inputs.fill(self.asked, ids, mask, renamed=self.renamed)
        values = {name: Value.ortvalue_from_numpy(array) for name, array in arrays.items()}
        feeds = {**values, **cached}
        if self.in_place:
            port = self.session.outputs[self.logits]
            whole = np.empty((*ids.shape, int(port.shape[-1] or 0)), port.dtype)
            places = {self.present[past]: value for past, value in cached.items()}
            places[self.logits] = Value.ortvalue_from_numpy(whole)
            self.session.run_into(feeds, places)
            return whole[:, -1].astype(np.float32), dict(cached)
        found = self.session.run_kept(feeds, [self.logits, *self.present.values()])
        logits = found[self.logits].numpy()[:, -1].astype(np.float32)
        return logits, {past: found[now] for past, now in self.present.items()}


class ExportedDecoder:
    """A decoder made of one graph, or of one for the first step and one for those after it.

    Args:
        config: config.json, which tells sizes that the graph leaves open.
        max_positions: how many tokens the model can see, prompt included.
        one_by_one: whether rows of a batch would change each other.
        pads: whether padding on the left is known to change nothing, given positions and a mask.
    """

    def __init__(
        self,
        first: DecoderGraph,
        later: DecoderGraph,
        config: Mapping[str, Any],
        max_positions: int,
        *,
        one_by_one: bool = False,
        pads: bool = True,
    ) -> None:
        self.max_positions = max_positions
        self._first = first
        self._later = later
        self._config = config
        self._one_by_one = one_by_one
        self._pads = pads and all(
            graph.asks_for("position_ids") and graph.asks_for("attention_mask")
            for graph in (first, later)
        )
        self._groups: list[_Group] = []

    def start(self, prompts: Sequence[Sequence[int]], capacity: int) -> NDArray[np.float32]:
        """Reads prompts, one row each, with room for `capacity` tokens a row in all.

        Returns:
            The logits after each prompt's last token, (rows, vocabulary).

        Raises:
            InputError: a prompt is empty, or longer than the model can see.
            InvalidModelError: the graph fails, or computes numbers that are none.
        """
        lengths = check_prompts(prompts, self.max_positions)
        room = max(capacity, int(lengths.max(initial=0))) if self._first.in_place else 0
        self._groups = [self._read(prompts, rows, room) for rows in self._together(lengths)]
        found = self._gathered(len(prompts))
        if not np.isfinite(found).all():
            if not self._pads or len({*lengths.tolist()}) == 1:
                raise InvalidModelError(
                    f"{self._first.session.graph.name} computes numbers that are none: "
                    "its logits hold NaN or infinity"
                )
            # It cannot bear rows that begin with padding.
            self._pads = False
            return self.start(prompts, capacity)
        return found

    def step(self, tokens: Ids, rows: Ids | None = None) -> NDArray[np.float32]:
        """Reads one more token a row.

        Args:
            tokens: (rows,).
            rows: for each row, the earlier row that it continues; unchanged if None.

        Returns:
            Logits, (rows, vocabulary).
        """
        sources = np.arange(len(tokens)) if rows is None else rows
        groups: list[_Group] = []
        for group in self._groups:
            places = np.flatnonzero(np.isin(sources, group.rows))
            own = [places[i : i + 1] for i in range(len(places))] if self._one_by_one else [places]
            for part in own:
                if len(part):
                    within = np.searchsorted(group.rows, sources[part])
                    groups.append(self._go_on(group, within, part, tokens[part]))
        self._groups = groups
        return self._gathered(len(tokens))

    def _together(self, lengths: Ids) -> list[Ids]:
        """Which rows are read in one batch; each group in rising order."""
        most = 1 if self._one_by_one else self._most_rows(int(lengths.max(initial=1)))
        keys = np.zeros_like(lengths) if self._pads else lengths
        groups: list[Ids] = [np.flatnonzero(keys == key) for key in {*keys.tolist()}]
        return [rows[i : i + most] for rows in groups for i in range(0, len(rows), most)]

    def _most_rows(self, width: int) -> int:
        """How many prompts may be read at once by a graph that scores all of their tokens."""
        vocabulary = self._config.get("vocab_size")
        if not isinstance(vocabulary, int) or self._first.asks_for("num_logits_to_keep"):
            return MAX_SCORES
        return max(1, MAX_SCORES // (width * max(1, vocabulary)))

    def _read(self, prompts: Sequence[Sequence[int]], rows: Ids, room: int) -> _Group:
        texts = [prompts[row] for row in map(int, rows)]
        width = max(map(len, texts))
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        for i, text in enumerate(texts):
            ids[i, width - len(text) :], mask[i, width - len(text) :] = text, 1
        graph = self._first
        empty = caches.empty_caches(graph.past, len(rows), self._config, room)
        held = {name: Value.ortvalue_from_numpy(array) for name, array in empty.items()}
        return _Group(rows, ids, mask, *graph.run(ids, mask, held))

    def _go_on(self, group: _Group, within: Ids, rows: Ids, tokens: Ids) -> _Group:
        """The rows of a group that go on, each by a token, at the places `rows`."""
        same = np.array_equal(within, np.arange(len(group.rows)))
        mask = np.column_stack((group.mask[within], np.ones(len(rows), np.int64)))
        new = tokens[:, None]
        ids = np.column_stack((group.ids[within], new))
        graph = self._later
        if not graph.past:
            return _Group(rows, ids, mask, *graph.run(ids, mask, {}))
        held = group.cached if same else _taken(group.cached, within, graph.past)
        return _Group(rows, ids, mask, *graph.run(new, mask, held))

    def _gathered(self, num_rows: int) -> NDArray[np.float32]:
        if len(self._groups) == 1:
            return self._groups[0].logits
        whole = np.empty((num_rows, self._groups[0].logits.shape[1]), np.float32)
        for group in self._groups:
            whole[group.rows] = group.logits
        return whole


@dataclass(frozen=True)
class _Group:
    """Rows that are computed together.

    Attributes:
        rows: their places among all rows.
        ids, mask: what was read, padding on the left.
    """

    rows: Ids
    ids: Ids
    mask: Ids
    logits: NDArray[np.float32]
    cached: Mapping[str, Value]


def _taken(cached: Mapping[str, Value], rows: Ids, ports: Mapping[str, Port]) -> dict[str, Value]:
    return {
        name: Value.ortvalue_from_numpy(
            np.ascontiguousarray(np.take(value.numpy(), rows, caches.rows_axis(ports[name])))
        )
        for name, value in cached.items()
    }
