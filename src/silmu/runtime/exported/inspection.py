"""What an .onnx file says of itself, read before the engine opens it: operators, files beside it.

The file is protobuf (https://protobuf.dev/programming-guides/encoding), and its fields are numbered
in https://github.com/onnx/onnx/blob/main/onnx/onnx.proto. It is walked, not parsed, so that weights
within it cost nothing. Where two readers might read it differently, it is refused, or all that
either could find is taken.
"""

from __future__ import annotations

import mmap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from silmu.errors import InvalidModelError, UnsupportedModelError

if TYPE_CHECKING:
    from pathlib import Path

MAX_BYTES = (1 << 31) - 1
MAX_FIELDS = 5_000_000
MAX_DEPTH = 64

# What may hold operators or tensors, by the number of the field.
_WITHIN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external"},
}
_TEXTS = {
    "node": {4: "operator", 7: "domain"},
    "function": {1: "operator", 10: "domain"},
    "external": {1: "key", 2: "value"},
}
_FIXED = {1: 8, 5: 4}

_DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc")
"""Whose operators are part of the engine; all others would need a library of their own."""

_BY_WHOLE_TENSOR = ("DynamicQuantizeLinear", "DynamicQuantizeMatMul", "DynamicQuantizeLSTM")


@dataclass(frozen=True)
class Inspection:
    """What was found in a graph file.

    Attributes:
        operators: pairs of domain and name.
        functions: the same of those that the file itself defines.
        beside: the paths, from the file's own folder, of the files that hold its weights.
    """

    operators: frozenset[tuple[str, str]]
    functions: frozenset[tuple[str, str]]
    beside: frozenset[str]

    @property
    def mixes_rows(self) -> bool:
        """Whether it rounds by the largest number of a whole batch, so that rows change others."""
        return any(name in _BY_WHOLE_TENSOR for _, name in self.operators)

    def has(self, operator: str) -> bool:
        """Whether there is an operator of that name."""
        return any(name == operator for _, name in self.operators)


def inspect(path: Path, what: str) -> Inspection:
    """Looks through an .onnx file.

    Args:
        what: the name of the file, for messages.

    Raises:
        InvalidModelError: it is not an .onnx file, or larger than one can be.
        UnsupportedModelError: it has operators that are not part of the engine.
    """
    size = path.stat().st_size
    if not 0 < size <= MAX_BYTES:
        raise InvalidModelError(f"{what} has {size:,} bytes; a graph has 1 to {MAX_BYTES:,}")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            found = _walk(data, size)
        except (_BrokenError, IndexError) as error:
            raise InvalidModelError(f"{what} is not an ONNX graph: {error}") from error
    strange = sorted(
        f"{domain}.{name}"
        for domain, name in found.operators - found.functions
        if domain not in _DOMAINS
    )
    if strange:
        raise UnsupportedModelError(
            f"{what} has operators of its own ({', '.join(strange[:4])}), "
            "and a library that would compute them is never loaded",
            hint="take an export with standard operators only",
        )
    return found


class _BrokenError(Exception):
    pass


def _walk(data: mmap.mmap, size: int) -> Inspection:
    operators: set[tuple[str, str]] = set()
    functions: set[tuple[str, str]] = set()
    beside: set[str] = set()
    todo = [("model", 0, size, 0)]
    num_fields = 0
    while todo:
        kind, at, end, depth = todo.pop()
        if depth > MAX_DEPTH:
            raise _BrokenError(f"it is nested deeper than {MAX_DEPTH} levels")
        within, texts = _WITHIN.get(kind, {}), _TEXTS.get(kind, {})
        said: dict[str, list[str]] = {}
        while at < end:
            num_fields += 1
            if num_fields > MAX_FIELDS:
                raise _BrokenError(f"it has more than {MAX_FIELDS:,} fields")
            tag, at = _number(data, at)
            field, wire = tag >> 3, tag & 7
            if wire == 0:
                _, at = _number(data, at)
                continue
            if wire != 2:
                if wire not in _FIXED:
                    raise _BrokenError(f"there is a field of wire type {wire}")
                at += _FIXED[wire]
                continue
            length, at = _number(data, at)
            if length > end - at:
                raise _BrokenError("a field is longer than what holds it")
            if field in within:
                todo.append((within[field], at, at + length, depth + 1))
            elif field in texts:
                text = data[at : at + length].decode("utf-8", "replace")
                said.setdefault(texts[field], []).append(text)
            at += length
        if at != end:
            raise _BrokenError("a field is longer than what holds it")
        if kind in ("node", "function"):
            pairs = {
                (domain, name)
                for name in said.get("operator", [""])
                for domain in said.get("domain", [""])
            }
            (operators if kind == "node" else functions).update(pairs)
        elif kind == "external" and "location" in said.get("key", []):
            beside.update(said.get("value", [""]))
    if not operators:
        raise _BrokenError("it has no operators")
    return Inspection(frozenset(operators), frozenset(functions), frozenset(beside))


def _number(data: mmap.mmap, at: int) -> tuple[int, int]:
    """A variable-length number, and where it ends."""
    value = data[at]
    if value < 0x80:
        return value, at + 1
    value &= 0x7F
    for shift in range(7, 70, 7):
        at += 1
        byte = data[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at + 1
    raise _BrokenError("a number has more than ten bytes")
