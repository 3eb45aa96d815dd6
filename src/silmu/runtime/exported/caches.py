"""The key-value caches of foreign decoders: which inputs hold them, and their shapes.

The sequence is the axis before the last, in all forms that are read here: (rows, heads, sequence,
size), the fused (rows, sequence, size), and (2, rows, heads, sequence, size).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import InvalidModelError, UnsupportedModelError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.session import Port

PAST = "past_key_values."
_PRESENT = ("present.", "present_key_values.")
MAX_SIZE = 1 << 20
"""Numbers of a token and a layer: more than any model keeps."""


def is_cache(name: str) -> bool:
    """Whether an input is a cache, by its usual name."""
    return name.startswith(PAST)


def pairs(inputs: Mapping[str, Port], outputs: Mapping[str, Port], what: str) -> dict[str, str]:
    """The output that continues each cache, by their usual names.

    Raises:
        InvalidModelError: a cache is not continued.
    """
    found: dict[str, str] = {}
    for name in filter(is_cache, inputs):
        spellings = [prefix + name.removeprefix(PAST) for prefix in _PRESENT]
        present = next((one for one in spellings if one in outputs), None)
        if present is None:
            raise InvalidModelError(f"{what} reads {name}, and gives no {spellings[0]}")
        found[name] = present
    return found


def rows_axis(port: Port) -> int:
    """Which axis of a cache is that of the rows."""
    return 1 if len(port.shape) == 5 else 0


def shape(
    name: str, port: Port, rows: int, length: int, config: Mapping[str, Any]
) -> tuple[int, ...]:
    """The shape of a cache with room for so many tokens.

    Raises:
        UnsupportedModelError: it is of a form that is not read here.
        InvalidModelError: its sizes are told neither by the graph nor by config.json.
    """
    axes = port.shape
    if len(axes) not in (3, 4, 5):
        raise UnsupportedModelError(f"the cache {name} has a form that is unknown: {list(axes)}")
    if len(axes) == 3 and isinstance(axes[1], int):
        raise UnsupportedModelError(
            f"the cache {name} has rows and heads in one axis, as only old exports have: "
            f"{list(axes)}",
            hint="export the model anew",
        )
    heads, size = _heads(config)
    told: dict[int, Any] = {len(axes) - 1: size, len(axes) - 3: heads if len(axes) > 3 else rows}
    found = [axis if isinstance(axis, int) else told.get(i) for i, axis in enumerate(axes)]
    found[rows_axis(port)], found[-2] = rows, length
    sizes = [number for number in found if number is not None and number >= 0]
    if len(sizes) < len(axes):
        raise InvalidModelError(
            f"the cache {name} has the axes {list(axes)}, and config.json does not tell their sizes"
        )
    if sizes[-1] * (sizes[-3] if len(axes) > 3 else 1) > MAX_SIZE:
        raise InvalidModelError(f"the cache {name} claims the axes {list(axes)}")
    return tuple(sizes)


def empty_caches(
    ports: Mapping[str, Port], rows: int, config: Mapping[str, Any], room: int = 0
) -> dict[str, NDArray[Any]]:
    """What the first step of a decoder is given: no tokens, or room for some."""
    return {n: np.zeros(shape(n, p, rows, room, config), p.dtype) for n, p in ports.items()}


def _heads(config: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """How many heads config.json tells to have keys of their own, and how large these are."""

    def first(*names: str) -> int | None:
        values = (config.get(name) for name in names)
        return next((v for v in values if isinstance(v, int) and not isinstance(v, bool)), None)

    queries = first("num_attention_heads", "n_head", "num_heads")
    width = first("hidden_size", "n_embd", "d_model")
    size = first("head_dim") or (width // queries if width and queries else None)
    return first("num_key_value_heads") or queries, size
