"""A frozen encoder of texts."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np

from silmu import registry
from silmu.errors import UnsupportedModelError
from silmu.graphs.silmu_probe import FIRST, MEAN
from silmu.runtime import weights
from silmu.steps.design.encoders import Encoder
from silmu.steps.prepare.prepared import Features

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder
    from silmu.steps.prepare.prepared import Prepared

TOKENS = 512
"""How many tokens, padding included, are read at once: as pipelines do, and for the same reason."""

MOST_UNKNOWN = 0.02
"""From which share of tokens on it is told that an encoder does not know them."""


def check(folder: Folder) -> None:
    """Refuses what cannot be read with, before any work is done.

    Raises:
        UnsupportedModelError: it is a model that writes, in which a token sees none after it.
    """
    model_type = folder.config["model_type"]
    family = registry.graph_module(model_type)
    if family is not None and "text-generation" in family.HEADS:
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, a model that writes; a probe reads with an "
            "encoder",
            hint=f"`--network {folder.name}` fine-tunes it",
        )
    weights.files(folder)


@final
class TextEncoder(Encoder[Features]):
    """A frozen encoder of texts.

    Attributes:
        max_tokens: how many tokens it can read.
    """

    task = "text-classification"
    architecture = "SilmuProbeForSequenceClassification"
    many = "texts"
    told: ClassVar = {MEAN: "the mean of the tokens", FIRST: "the first token"}

    def __init__(self, folder: Folder, device: str = "auto") -> None:
        super().__init__(folder, device)
        size = int(self._pipe.model.session.outputs["last_hidden_state"].shape[-1] or 0)
        self.sizes = {MEAN: size, FIRST: size}
        self.max_tokens: int = self._pipe.model.max_tokens
        self._pad: int = self._pipe.tokenizer.special_id("pad") or 0
        self._unknown = self._pipe.tokenizer.special_id("unk")

    def examples(self, prepared: Prepared, split: str) -> Features:
        """Token ids."""
        return prepared.features(split)

    def batches(self, examples: Features) -> list[NDArray[np.int64]]:
        """Those of like lengths together, the shortest first."""
        return batches(examples.lengths)

    def read(
        self, examples: Features, indices: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """Texts of a split, each as one vector, by how the vectors of its tokens become one."""
        shape = len(indices), int(examples.lengths[indices].max())
        feeds = {
            "input_ids": np.full(shape, self._pad, np.int64),
            "attention_mask": np.zeros(shape, np.int64),
            "token_type_ids": np.zeros(shape, np.int64),
        }
        for row, index in enumerate(indices.tolist()):
            ids, types = examples.ids(index), examples.type_ids(index)
            feeds["input_ids"][row, : len(ids)] = ids
            feeds["attention_mask"][row, : len(ids)] = 1
            if types is not None:
                feeds["token_type_ids"][row, : len(types)] = types
        return self.pooled(feeds)

    def pooled(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float32]]:
        """(rows, tokens) arrays by name -> (rows, size) by pooling."""
        states: NDArray[np.float32] = self._pipe.model(**feeds)["last_hidden_state"]
        real = feeds["attention_mask"].astype(np.float32)
        total = np.matmul(real[:, None, :], states)[:, 0]
        return {
            MEAN: total / real.sum(axis=1, keepdims=True),
            FIRST: np.ascontiguousarray(states[:, 0]),
        }

    def config(self) -> dict[str, Any]:
        """How many tokens there are, how many are read, and which one fills up."""
        config, limit = self.folder.config, self.max_tokens
        return {
            "vocab_size": config.get("vocab_size"),
            "max_position_embeddings": limit if limit < sys.maxsize else None,
            "pad_token_id": config.get("pad_token_id"),
        }

    def notes(self, examples: Features) -> list[str]:
        """Whether it knows the language."""
        if (unknown := self.unknown(examples)) <= MOST_UNKNOWN:
            return []
        return [
            f"{unknown:.0%} of the tokens are unknown to this encoder: one of their language would "
            "read more of them"
        ]

    def unknown(self, examples: Features) -> float:
        """The share of tokens that it has no vector for, in texts spread over a split."""
        some: list[int] = np.unique(np.linspace(0, len(examples) - 1, 1000).astype(int)).tolist()
        ids = np.concatenate([examples.ids(i) for i in some])
        return float((ids == self._unknown).mean()) if self._unknown is not None else 0.0


def batches(lengths: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Examples by their numbers, those of like lengths together, the shortest first.

    >>> [batch.tolist() for batch in batches(np.array([300, 100, 300, 90], np.int32))]
    [[3, 1], [0], [2]]
    """
    order = np.argsort(lengths, kind="stable").astype(np.int64)
    found: list[NDArray[np.int64]] = []
    start = 0
    for end, index in enumerate(order.tolist()):
        if end > start and (end + 1 - start) * int(lengths[index]) > TOKENS:
            found.append(order[start:end])
            start = end
    return [*found, order[start:]]
