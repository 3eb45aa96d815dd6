"""What is given to a graph: whatever it asks for, in the types that it declares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.session import Port

CACHE_BRANCH = "use_cache_branch"
KNOWN = (
    *("input_ids", "attention_mask", "token_type_ids", "position_ids", "cache_position"),
    *("num_logits_to_keep", "logits_to_keep", CACHE_BRANCH),
)


def check_known(asked: Iterable[str], what: str) -> None:
    """Refuses a graph that asks for what a text cannot give.

    Raises:
        UnsupportedModelError: as told.
    """
    if unknown := sorted({*asked} - {*KNOWN}):
        raise UnsupportedModelError(
            f"{what} asks for the inputs {', '.join(unknown[:8])}; "
            f"a text gives {', '.join(KNOWN)}, and what a cache holds",
        )


def fill(
    ports: Mapping[str, Port],
    ids: NDArray[np.int64],
    mask: NDArray[np.int64],
    *,
    types: NDArray[np.int64] | None = None,
    renamed: Mapping[str, str] | None = None,
) -> dict[str, NDArray[Any]]:
    """Arrays for inputs.

    Args:
        ports: the inputs that are asked for, caches left out.
        ids: the tokens to read, (rows, tokens).
        mask: 1 for each token and 0 for padding; longer than ids where earlier tokens are in a
            cache.
        types: which of two texts each token is of.
        renamed: the usual names of inputs that are called otherwise.
    """
    seen = mask.shape[1] - ids.shape[1]
    counted = np.where(mask == 1, mask.cumsum(axis=1) - 1, 1)
    known: dict[str, NDArray[Any]] = {
        "input_ids": ids,
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(ids) if types is None else types,
        "position_ids": counted[:, seen:],
        "cache_position": np.arange(seen, mask.shape[1]),
        "num_logits_to_keep": np.array(1),
        "logits_to_keep": np.array(1),
        CACHE_BRANCH: np.array(seen > 0),
    }
    feeds: dict[str, NDArray[Any]] = {}
    for name, port in ports.items():
        array = known[(renamed or {}).get(name, name)]
        if array.ndim == 0 and port.shape:
            array = array.reshape(1)
        feeds[name] = np.ascontiguousarray(array, port.dtype)
    return feeds
