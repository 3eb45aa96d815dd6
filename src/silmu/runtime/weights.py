"""The tensors of a model folder, mapped from its safetensors files and never copied.

The format is described at https://github.com/huggingface/safetensors: eight bytes of header
length, a JSON header, then the tensors' bytes with no gap between them.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from silmu.errors import InvalidModelError, ModelNotFoundError, UnsupportedModelError
from silmu.runtime import foreign
from silmu.runtime.folder import parse_json, read_by_library

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from silmu.runtime.folder import Folder

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
LEGACY = ("pytorch_model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")

MAX_HEADER_BYTES = 16 << 20
MAX_INDEX_BYTES = 16 << 20
MAX_TENSORS = 100_000
_AT_ONCE = 1 << 24
_NUMPY: dict[str, type[np.generic]] = {
    "F64": np.float64,
    "F32": np.float32,
    "F16": np.float16,
    "BF16": np.uint16,  # numpy has no bfloat16; widened in `Weights.__getitem__`
    "I64": np.int64,
    "I32": np.int32,
    "I16": np.int16,
    "I8": np.int8,
    "U8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True)
class Tensor:
    """Where one tensor lies: a file, a type, a shape and the bytes from `start` on."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int


class Weights:
    """Tensors by name, each read from disk only when it is asked for.

    >>> weights = Weights.open(folder)                                  # doctest: +SKIP
    >>> weights["bert.embeddings.word_embeddings.weight"].shape         # doctest: +SKIP
    (30522, 768)
    """

    def __init__(self, name: str, tensors: dict[str, Tensor]) -> None:
        self.name = name
        self.tensors = tensors

    @classmethod
    def open(cls, folder: Folder) -> Weights:
        """Reads the headers of a folder's safetensors files, one or sharded.

        Raises:
            ModelNotFoundError: the folder has no weights.
            UnsupportedModelError: it has weights only in a format that can run code, or weights
                that another program packed.
            InvalidModelError: a header is broken, or does not agree with its file.
        """
        tensors: dict[str, Tensor] = {}
        for name in files(folder):
            for key, tensor in _header(folder.file(name), f"{name} of `{folder.name}`").items():
                if key in tensors:
                    raise InvalidModelError(f"`{folder.name}` has the tensor {key!r} in two files")
                tensors[key] = tensor
        types = {name: tensor.dtype for name, tensor in tensors.items()}
        config = folder.config if folder.has("config.json") else {}
        foreign.refuse_packed(folder.name, types, config)
        return cls(folder.name, tensors)

    @property
    def num_numbers(self) -> int:
        """How many numbers the tensors hold together."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors.values())

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __getitem__(self, name: str) -> NDArray[Any]:
        """A tensor as a read-only array; half precisions are widened to float32.

        Raises:
            InvalidModelError: there is no tensor of that name.
        """
        if name not in self.tensors:
            raise InvalidModelError(
                f"`{self.name}` has no tensor {name!r}, which its architecture needs"
            )
        tensor = self.tensors[name]
        shape = tensor.shape
        if tensor.dtype not in _NUMPY:
            raise UnsupportedModelError(
                f"`{self.name}` has {name!r} in {tensor.dtype}; silmu reads {', '.join(_NUMPY)}"
            )
        if 0 in shape:
            return np.empty(shape, _NUMPY[tensor.dtype])
        try:
            array: NDArray[Any] = np.memmap(
                tensor.path, _NUMPY[tensor.dtype], "r", offset=tensor.start, shape=shape
            )
        except (OSError, ValueError) as error:
            raise InvalidModelError(f"{name!r} of `{self.name}` cannot be read: {error}") from error
        if tensor.dtype == "BF16":
            wide = array.astype(np.uint32)
            wide <<= 16  # in place: a table of embeddings may be a large part of memory
            return wide.view(np.float32)
        if tensor.dtype in ("F16", "F64"):
            # What float32 cannot hold becomes infinity, which whoever uses the tensor refuses.
            with np.errstate(all="ignore"):
                return array.astype(np.float32)
        return array


def pack(file: BinaryIO, tensors: Mapping[str, Tensor | NDArray[Any]]) -> None:
    """Writes tensors as one safetensors file, those of other files byte for byte as they lie there.

    Args:
        file: open for writing, and empty.
        tensors: by name; arrays are written as float32.
    """
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    types = {k: one.dtype if isinstance(one, Tensor) else "F32" for k, one in tensors.items()}
    sizes = {name: np.dtype(_NUMPY[dtype]).itemsize for name, dtype in types.items()}
    # The widest first, so that each lies at a place that its width divides.
    ordered = sorted(tensors.items(), key=lambda item: -sizes[item[0]])
    end = 0
    for name, one in ordered:
        start, end = end, end + math.prod(one.shape) * sizes[name]
        places = {"dtype": types[name], "shape": list(one.shape), "data_offsets": [start, end]}
        header[name] = places
    told = json.dumps(header).encode()
    told += b" " * (-len(told) % 8)
    file.write(len(told).to_bytes(8, "little") + told)
    for name, one in ordered:
        if not isinstance(one, Tensor):
            file.write(np.ascontiguousarray(one, np.float32).tobytes())
            continue
        start, end = header[name]["data_offsets"]
        with one.path.open("rb") as source:
            source.seek(one.start)
            for place in range(start, end, _AT_ONCE):
                file.write(source.read(min(_AT_ONCE, end - place)))


def files(folder: Folder) -> list[str]:
    """The names of the safetensors files that hold a folder's weights.

    Raises:
        ModelNotFoundError, UnsupportedModelError: as `Weights.open`.
    """
    if folder.has(SINGLE):
        return [SINGLE]
    if folder.has(INDEX):
        index = folder.json(INDEX, limit=MAX_INDEX_BYTES).get("weight_map")
        if not isinstance(index, dict) or not index:
            raise InvalidModelError(f"{INDEX} of `{folder.name}` has no weight_map")
        names = list(cast("dict[str, Any]", index).values())
        if not all(isinstance(name, str) and name.endswith(".safetensors") for name in names):
            raise InvalidModelError(f"{INDEX} of `{folder.name}` names files that hold no tensors")
        return sorted(set(names))
    if legacy := [name for name in LEGACY if folder.has(name)]:
        raise legacy_error(folder, legacy[0])
    folder.refuse_foreign()
    raise ModelNotFoundError(
        f"`{folder.name}` has no {SINGLE}",
        hint=f"it holds {', '.join(folder.listing()[:12]) or 'nothing'}",
    )


def legacy_error(folder: Folder, name: str) -> UnsupportedModelError:
    """Why a folder whose weights are only in the file `name` is refused, and how to convert it."""
    architecture = str((folder.config.get("architectures") or ["AutoModel"])[0])
    # The hint is a command to be copied, and config.json is a stranger's.
    if not architecture.isidentifier():
        architecture = "AutoModel"
    return UnsupportedModelError(
        f"`{folder.name}` has its weights only as {name}, a format that can run code "
        "when it is opened; silmu reads safetensors",
        hint="where torch and transformers are installed, convert it once with "
        f'`python -c "import transformers as t; m = {folder.name!r}; '
        f"[c.from_pretrained(m).save_pretrained('converted') "
        f'for c in (t.{architecture}, t.AutoTokenizer)]"`',
    )


def _header(path: Path, what: str) -> dict[str, Tensor]:
    from safetensors import safe_open

    with read_by_library(what):
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
                raise InvalidModelError(
                    f"{what} has {size:,} bytes and claims a header of {length:,}; "
                    f"at most {MAX_HEADER_BYTES:,} are read"
                )
            raw = file.read(length)
        # Counted before anything parses it: a tensor is an object with braces of its own.
        if raw.count(b"{") > MAX_TENSORS + 2:
            raise InvalidModelError(f"{what} claims more than {MAX_TENSORS:,} tensors")
        header = parse_json(raw.decode("utf-8"), f"the header of {what}")
        with safe_open(str(path), framework="numpy"):
            pass  # the reference reader's verdict: types, ranges, gaps and overlaps
    tensors: dict[str, Tensor] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape, (start, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if dtype in _NUMPY and math.prod(shape) * np.dtype(_NUMPY[dtype]).itemsize != end - start:
            raise InvalidModelError(f"{what} has {name!r} of shape {shape} in {end - start} bytes")
        tensors[name] = Tensor(path, dtype, shape, 8 + length + start)
    return tensors
