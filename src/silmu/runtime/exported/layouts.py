"""Which .onnx files of a folder are the model: the layouts in which exporters leave them.

transformers.js puts graphs into `onnx/`, optimum beside config.json or into a subfolder with a
config.json of its own, onnxruntime-genai beside a genai_config.json. Here are only names; nothing
is opened, so that the same choice is made among the files of a folder and among those of the hub.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

from silmu.errors import InvalidModelError, ModelNotFoundError, UnsupportedModelError
from silmu.runtime.dtypes import SUFFIXES

SUBFOLDER = "onnx"

_SPELLINGS = {
    **{dtype: (suffix,) for dtype, suffix in SUFFIXES.items()},
    "fp32": (SUFFIXES["fp32"], "_optimized", "_O1", "_O2", "_O3"),
    "fp16": (SUFFIXES["fp16"], "_O4"),
}
"""How file names tell a precision: as transformers.js writes it, then as others do."""

_SERVES = {"fp16": ("fp16", "fp32"), "bf16": ("fp32",), "q8": ("q8", "int8", "uint8")}
"""Which precisions do where one is asked for, if it is not that one alone."""

_WHOLE = ("fp32", "fp16", "bf16")

_SENTENCE_Q8 = re.compile(r"_qu?int8(_.*)?")  # sentence-transformers names the processor too

_GRAPHS = (
    ("decoder_model_merged",),
    ("model",),
    ("decoder_model", "decoder_with_past_model"),
    ("decoder_model",),
)
_NAME = re.compile(
    r"(decoder_with_past_model|decoder_model_merged|decoder_model|encoder_model|model)(_.+)?\.onnx"
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a caller says about which graph to take; by default the folder decides.

    Attributes:
        file_name: the .onnx file.
        subfolder: where it lies.
        dtype: a precision as `runtime.dtypes` names it, or one for each graph by its name; None
            where the folder says.
    """

    file_name: str | None = None
    subfolder: str | None = None
    dtype: str | Mapping[str, str] | None = None

    @property
    def names_file(self) -> bool:
        """Whether a file or its folder was named."""
        return self.file_name is not None or self.subfolder is not None

    @property
    def names_few_bits(self) -> bool:
        """Whether a precision was named that is not computed from the full weights anyhow."""
        given = (self.dtype,) if isinstance(self.dtype, str) else (self.dtype or {}).values()
        return any(name not in _WHOLE for name in given)


@dataclass(frozen=True)
class Layout:
    """The graphs of a model: one, or one for the first step and one for those after it.

    Attributes:
        files: their paths in the model folder.
        dtype: what their names tell of precision; None if nothing.
        usual: whether they were found by their names, and not for being the only ones.
    """

    files: tuple[str, ...]
    dtype: str | None
    usual: bool = True

    @property
    def has_few_bits(self) -> bool:
        """Whether the weights are rounded to fewer bits than 16, by the names of the files."""
        return self.dtype is not None and self.dtype not in _WHOLE

    @property
    def folder(self) -> str:
        """The subfolder in which they lie; "" for the model folder itself."""
        return _folder_of(self.files[0])


def choose(
    names: Iterable[str], wanted: Wanted, config: Mapping[str, Any], genai: Mapping[str, Any]
) -> Layout | None:
    """The graphs to take, or None where there are none of the wanted kind.

    Args:
        names: the paths of files, from the model folder.
        config: config.json, whose transformers.js_config may name a precision.
        genai: genai_config.json, which names its file.

    Raises:
        ModelNotFoundError: a file was named, and is not there.
        UnsupportedModelError: there are graphs, and it cannot be told which of them is the model.
    """
    graphs = sorted(name for name in names if name.endswith(".onnx"))
    if wanted.file_name is not None:
        return _named(graphs, wanted.file_name, wanted.subfolder)
    folders = (SUBFOLDER, "") if wanted.subfolder is None else (wanted.subfolder.strip("/"),)
    for folder in folders:
        there = {PurePosixPath(n).name: n for n in graphs if _folder_of(n) == folder}
        found = _usual(there, wanted, _own_dtype(config))
        if found is None and (named := _genai_file(genai)) in there:
            found = Layout((there[named],), None)
        if found is None and there and not wanted.names_few_bits:
            found = _only(there)
        if found is not None:
            return found
    if wanted.subfolder is not None:
        raise _not_there(f"no graph in {wanted.subfolder}", graphs)
    return None


def dtypes(names: Iterable[str]) -> list[str]:
    """The precisions that graphs among some files have, by their names."""
    matches = (_NAME.fullmatch(PurePosixPath(name).name) for name in names)
    found = {_dtype_of(match[2] or "") for match in matches if match}
    return [dtype for dtype in SUFFIXES if dtype in found]


def _named(graphs: list[str], file_name: str, subfolder: str | None) -> Layout:
    places = [subfolder] if subfolder is not None else ["", SUBFOLDER]
    for place in places:
        path = str(PurePosixPath(place or "") / file_name)
        if path in graphs:
            match = _NAME.fullmatch(PurePosixPath(path).name)
            return Layout((path,), _dtype_of(match[2] or "") if match else None)
    where = f" in {subfolder}" if subfolder else ""
    raise _not_there(f"no {file_name}{where}", graphs)


def _not_there(what: str, graphs: list[str]) -> ModelNotFoundError:
    return ModelNotFoundError(
        f"there is {what}", hint=f"its graphs are {', '.join(graphs[:12]) or 'none'}"
    )


def _usual(
    there: Mapping[str, str], wanted: Wanted, own_dtype: str | Mapping[str, str] | None
) -> Layout | None:
    """Graphs with the names that exporters give, in the wanted precision or the next best."""
    found: dict[str, dict[str, list[tuple[int, str, str]]]] = {}
    for name, path in there.items():
        if match := _NAME.fullmatch(name):
            suffix = match[2] or ""
            told = _dtype_of(suffix)
            own = found.setdefault(match[1], {}).setdefault(told or "", [])
            own.append((_rank(told, suffix), suffix, path))
    if "encoder_model" in found and "model" not in found:
        raise UnsupportedModelError(
            "the graphs are an encoder and a decoder, which no task here computes from ONNX files",
            hint=f"they are {', '.join(sorted(there)[:12])}",
        )
    dtype = own_dtype if wanted.dtype is None else wanted.dtype
    tries: list[str | Mapping[str, str]] = [] if dtype is None else [dtype]
    if isinstance(dtype, str):
        tries = [*_SERVES.get(dtype, (dtype,))]
    if not wanted.names_few_bits:
        tries += [*SUFFIXES, ""]
    for one in tries:
        for stems in _GRAPHS:
            each = [one if isinstance(one, str) else one.get(stem, "fp32") for stem in stems]
            of_stems = [found.get(s, {}).get(d) for s, d in zip(stems, each, strict=True)]
            if all(of_stems):
                files = tuple(min(cast("list[tuple[int, str, str]]", of))[2] for of in of_stems)
                return Layout(files, each[0] or None)
    return None


def _rank(dtype: str | None, suffix: str) -> int:
    """Which of several files of one precision to take: the first."""
    known = _SPELLINGS.get(dtype or "", ())
    if suffix in known:
        return known.index(suffix)
    # Without the newest instructions, signed weights overflow on x86; these are made for all.
    arm = platform.machine().lower() in ("arm64", "aarch64")
    return len(known) + ("arm64" not in suffix if arm else "avx2" not in suffix)


def _dtype_of(suffix: str) -> str | None:
    if _SENTENCE_Q8.fullmatch(suffix):
        return "q8"
    return next((dtype for dtype, known in _SPELLINGS.items() if suffix in known), None)


def _own_dtype(config: Mapping[str, Any]) -> str | Mapping[str, str] | None:
    """The precision that the folder itself asks for; `auto` of transformers.js asks for none."""
    own: Any = config.get("transformers.js_config")
    dtype: Any = cast("Mapping[str, Any]", own).get("dtype") if isinstance(own, Mapping) else None
    given = cast("Mapping[str, Any]", dtype) if isinstance(dtype, Mapping) else {"": dtype}
    if not all(isinstance(value, str | None) for value in given.values()):
        raise InvalidModelError(
            f"config.json has transformers.js_config with dtype {dtype!r:.80}; it must be a name "
            "such as q8, or names by graph"
        )
    return given if isinstance(dtype, Mapping) else dtype or None


def _genai_file(genai: Mapping[str, Any]) -> str:
    model: Any = genai.get("model")
    decoder: Any = cast("Mapping[str, Any]", model).get("decoder") if model else None
    return str(cast("Mapping[str, Any]", decoder or {}).get("filename", ""))


def _only(there: Mapping[str, str]) -> Layout:
    if len(there) == 1:
        return Layout(tuple(there.values()), None, usual=False)
    raise UnsupportedModelError(
        f"it cannot be told which graph is the model: there are {', '.join(sorted(there)[:12])}",
        hint='name one: pipeline(..., model_kwargs={"file_name": "..."})',
    )


def _folder_of(name: str) -> str:
    parent = str(PurePosixPath(name).parent)
    return "" if parent == "." else parent
