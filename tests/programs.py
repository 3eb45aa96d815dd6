"""The programs of programs.md: reads them, and runs one under transformers or under silmu.

What a program prints is its answer: `print` is replaced by one that keeps what it is given. Nothing
else of it changes, but for the name of the library in its imports. torch and pandas, which programs
import and silmu does not, are stand-ins where they are not installed.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAMS = Path(__file__).parent / "programs.md"
_IMPORT = re.compile(r"^(from|import) transformers\b(?!\.\w+ as)", re.MULTILINE)
_NOTE = re.compile(r"^(differs|refuses|faulty): (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Program:
    """One program, and what is known of silmu's answer where it is not the reference's."""

    name: str
    source: str
    note: str | None
    why: str
    prints: str | None
    """JSON of what silmu prints, where that differs."""

    @property
    def models(self) -> list[str]:
        """The folders of tests/models that it names."""
        here = {path.name for path in (Path(__file__).parent / "models").iterdir()}
        return sorted(here.intersection(re.findall(r'"([\w.-]+)"', self.source)))

    def under(self, library: str) -> str:
        """The source with another library in its imports, as somebody would change it by hand."""

        def renamed(found: re.Match[str]) -> str:
            how = found[1]
            rest = self.source[found.end() :].partition("\n")[0]
            return f"{how} {library}" + (" as transformers" if how == "import" and not rest else "")

        return _IMPORT.sub(renamed, self.source) if library != "transformers" else self.source


def read(path: Path = PROGRAMS) -> list[Program]:
    """All programs, in order."""
    programs: list[Program] = []
    _, *parts = re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    for part in parts:
        name, _, rest = part.partition("\n")
        blocks = dict(re.findall(r"^```(python|json)\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE))
        note = _NOTE.search(rest)
        programs.append(
            Program(
                name.strip(),
                blocks["python"],
                note[1] if note else None,
                note[2] if note else "",
                blocks.get("json"),
            )
        )
    return programs


def run(program: Program, library: str) -> list[Any]:
    """What a program prints, each argument of `print` by itself; the working folder has models."""
    printed: list[Any] = []

    def show(*values: Any, file: Any = None, **_: Any) -> None:
        if file is None:
            printed.extend(values)

    code = compile(program.under(library), program.name, "exec", dont_inherit=True)
    with stand_ins():
        exec(code, {"__name__": "__main__", "print": show})  # the programs are our own
    return printed


def plain(value: Any) -> Any:
    """What was printed, as JSON can hold it: arrays and numpy's numbers as Python's."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return str(value) if isinstance(value, str) else value  # silmu's devices are texts


# --------------------------------------------------------------------------------------------
# Stand-ins for what the programs import beside the library
# --------------------------------------------------------------------------------------------


class Series:
    """What the programs do with a column of pandas; like that, it is no list to `isinstance`."""

    def __init__(self, values: list[Any]) -> None:
        self._values = list(values)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> Any:
        return self._values[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def apply(self, function: Callable[[Any], Any]) -> Series:
        return Series([function(value) for value in self._values])

    def tolist(self) -> list[Any]:
        return list(self._values)


class DataFrame:
    """What the programs do with a data frame of pandas."""

    def __init__(self, columns: dict[str, list[Any]]) -> None:
        self._columns = {name: Series(values) for name, values in columns.items()}

    def __getitem__(self, name: str) -> Series:
        return self._columns[name]

    def __setitem__(self, name: str, values: Any) -> None:
        self._columns[name] = values if isinstance(values, Series) else Series(values)


@dataclass(frozen=True)
class TorchDtype:
    """As a torch.dtype is written out."""

    name: str

    def __repr__(self) -> str:
        return f"torch.{self.name}"


@dataclass(frozen=True)
class TorchDevice:
    """As a torch.device."""

    type: str
    index: int | None = None


@dataclass
class Layer:
    """A model of torch, of which silmu knows only that it is none of its own."""

    sizes: tuple[int, ...] = field(default=())

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes


def _torch() -> dict[str, types.ModuleType]:
    names = ("torch", "torch.cuda", "torch.nn", "torch.utils", "torch.utils.data")
    modules = {name: types.ModuleType(name) for name in names}
    for name, module in modules.items():
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    torch: Any = modules["torch"]
    torch.device = TorchDevice
    for name in ("float16", "bfloat16", "float32"):
        setattr(torch, name, TorchDtype(name))
    torch.cuda.is_available = lambda: False
    torch.nn.Linear = Layer
    torch.utils.data.Dataset = object
    return modules


def _pandas() -> dict[str, types.ModuleType]:
    pandas: Any = types.ModuleType("pandas")
    pandas.DataFrame = DataFrame
    return {"pandas": pandas}


@contextmanager
def stand_ins() -> Iterator[None]:
    """Makes torch and pandas importable for a while, where they are not."""
    missing: dict[str, types.ModuleType] = {}
    for name, make in (("torch", _torch), ("pandas", _pandas)):
        try:
            __import__(name)
        except ImportError:
            missing |= make()
    sys.modules |= missing
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]
