"""What programs import from transformers' module of the same name: one column of a data set.

>>> from silmu.pipelines.pt_utils import KeyDataset
>>> list(KeyDataset([{"text": "Good."}, {"text": "Bad."}], "text"))
['Good.', 'Bad.']
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class KeyDataset:
    """The values of one key of a data set, which a pipeline reads one by one.

    Args:
        dataset: numbered rows, each a dict; such as one of the `datasets` library.
        key: whose values.
    """

    def __init__(self, dataset: Any, key: str) -> None:
        self.dataset = dataset
        self.key = key

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index][self.key]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


class KeyPairDataset(KeyDataset):
    """The values of two keys, as the `text` and `text_pair` of an input."""

    def __init__(self, dataset: Any, key1: str, key2: str) -> None:
        super().__init__(dataset, key1)
        self.key2 = key2

    def __getitem__(self, index: int) -> Any:
        row = self.dataset[index]
        return {"text": row[self.key], "text_pair": row[self.key2]}
