"""config.json of a folder, asked for what an architecture needs."""

from __future__ import annotations

from typing import Any, cast

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.graphs._activations import RARE

ACTIVATIONS = (
    "gelu",
    "gelu_python",
    "gelu_new",
    "gelu_accurate",
    "gelu_pytorch_tanh",
    "gelu_python_tanh",
    "gelu_fast",
    "quick_gelu",
    "relu",
    "relu6",
    "silu",
    "swish",
    "tanh",
    *RARE,
)


class Config:
    """config.json of a folder, asked for what an architecture needs.

    Raises InvalidModelError where a value is absent or out of range, and UnsupportedModelError
    where it is a variant that no graph is written for.
    """

    def __init__(self, values: dict[str, Any], name: str) -> None:
        self.values = values
        self.name = name

    def size(self, *keys: str, default: int | None = None, most: int = 1 << 24) -> int:
        """A number of something: a whole number from 1 on. Later keys are other spellings."""
        value = next(
            (self.values[key] for key in keys if self.values.get(key) is not None), default
        )
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {keys[0]} = {value!r}; "
                f"it must be a whole number from 1 to {most:,}"
            )
        return value

    def sizes(self, key: str, default: tuple[int, ...], most: int = 1 << 24) -> tuple[int, ...]:
        """A number of something for each part of a network: whole numbers from 1 on."""
        found: Any = self.values.get(key)
        if found is None:
            return default
        sizes = cast("list[Any]", found if isinstance(found, list) else [])
        if not sizes or not all(type(size) is int and 1 <= size <= most for size in sizes):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {found!r}; "
                f"it must be a list of whole numbers from 1 to {most:,}"
            )
        return tuple(sizes)

    @property
    def num_labels(self) -> int:
        """How many labels the head has; transformers' default is two."""
        labels = self.values.get("id2label")
        if isinstance(labels, dict):
            return len(cast("dict[str, Any]", labels))
        return self.size("num_labels", default=2)

    def number(self, key: str, default: float) -> float:
        """A number from 0 on."""
        value = self.values.get(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be a number from 0 on"
            )
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        """True or false; null is false."""
        value = self.values.get(key, default)
        if not isinstance(value, bool | None):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be true or false"
            )
        return bool(value)

    def token(self, key: str) -> int | None:
        """The id of a token, or None."""
        value = self.values.get(key)
        if not isinstance(value, int | None) or isinstance(value, bool):
            raise InvalidModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; it must be a whole number"
            )
        return value

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed words."""
        value = self.values.get(key) or default
        if value not in allowed:
            raise UnsupportedModelError(
                f"config.json of `{self.name}` has {key} = {value!r}; "
                f"silmu has graphs for {', '.join(allowed)}"
            )
        return value

    def activation(self, key: str, default: str) -> str:
        """The name of an activation function that `Graph.activate` has."""
        return self.choice(key, default, ACTIVATIONS)

    def pair(self, key: str, default: int, most: int = 1 << 16) -> tuple[int, int]:
        """A height and a width, from 1 on; one number is both."""
        found: Any = self.values.get(key)
        if isinstance(found, list) and len(cast("list[Any]", found)) == 2:
            height, width = self.sizes(key, (), most)
        else:
            height = width = self.size(key, default=default, most=most)
        return height, width

    def heads(self, hidden: int, *keys: str, default: int | None = None) -> int:
        """The number of attention heads, which must divide the hidden size."""
        heads = self.size(*keys, default=default)
        if hidden % heads:
            raise InvalidModelError(
                f"config.json of `{self.name}` has {heads} attention heads, "
                f"which do not divide the hidden size {hidden}"
            )
        return heads
