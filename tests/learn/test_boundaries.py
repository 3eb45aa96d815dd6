"""What no module of silmu may do: write a file, run what it reads, need torch, hang on a text."""

from __future__ import annotations

import ast
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import silmu

SOURCE = Path(silmu.__file__).parent
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
every_file = pytest.mark.parametrize("name", FILES)


def source_of(name: str) -> str:
    return FILES[name].read_text(encoding="utf-8")


def full_names(tree: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Every name that is read, as its import spells it: `np.load` is `numpy.load`."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                aliases[alias.asname or alias.name.partition(".")[0]] = (
                    alias.name if alias.asname else alias.name.partition(".")[0]
                )
                yield alias.name, node
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}", node

    def spelled(node: ast.AST) -> str:
        if isinstance(node, ast.Attribute):
            return f"{spelled(node.value)}.{node.attr}"
        return aliases.get(node.id, node.id) if isinstance(node, ast.Name) else "?"

    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            yield spelled(node), node


# ── only the store writes ──────────────────────────────────────────────────────────────────────

SHUTIL_READS = {"disk_usage", "which", "get_terminal_size"}
OS_WRITES = {"write", "writev", "pwrite", "rename", "renames", "replace", "remove", "unlink"}
OS_WRITES |= {"rmdir", "removedirs", "mkdir", "makedirs", "mkfifo", "mknod", "symlink", "link"}
OS_WRITES |= {"truncate", "ftruncate", "chmod", "chown", "utime", "sendfile", "open", "posix_open"}
METHODS = {"write_text", "write_bytes", "mkdir", "unlink", "rmdir", "symlink_to", "hardlink_to"}
METHODS |= {"touch", "chmod", "lchmod", "tofile", "save", "savez", "savez_compressed", "savetxt"}
METHODS |= {"save_file", "save_model", "open_memmap", "to_csv", "to_json", "to_parquet"}
OPENERS = {"open", "fdopen", "ZipFile", "TarFile", "GzipFile", "BZ2File", "LZMAFile", "FileIO"}
READ_FLAGS = {"O_RDONLY", "O_CLOEXEC", "O_BINARY", "O_NOFOLLOW", "O_NONBLOCK", "O_DIRECTORY"}

MAY_WRITE = {
    # Into a file that the store opened, and that it seals.
    "graphs/_onnx.py": {"?.tofile"},
    # Into a folder that the store makes, by a library that takes only a path.
    "runtime/openvino.py": {"?.save_model"},
    # Into bytes, which the store writes.
    "steps/train/checkpoints.py": {"?.save"},
    "steps/train/export.py": {"?.save"},
    "steps/train/tables.py": {"?.save"},
    "runtime/table.py": {"?.save"},
    "runtime/animation.py": {"?.save"},
    "steps/train/features.py": {"?.save"},
    "steps/train/images.py": {"?.save"},
    "steps/evaluate/image/rasters.py": {"?.save"},
    "steps/collect/image/memory.py": {"?.save"},
    # Into nothing, when the reader of stdout has left.
    "cli/__init__.py": {"os.open"},
    # Into what stdout was, before code of others ran.
    "cli/_streams.py": {"open for writing"},
}


def writes(source: str) -> set[str]:
    """What in a module opens a file for writing or changes a folder."""
    tree = ast.parse(source)
    found: set[str] = set()
    reading = {
        id(call.func) for call in ast.walk(tree) if isinstance(call, ast.Call) and only_reads(call)
    }
    full: dict[int, str] = {}
    for name, node in full_names(tree):
        full[id(node)] = name
        module, _, last = name.rpartition(".")
        if (
            module == "tempfile"
            or name == "tempfile"
            or (module == "shutil" and last not in SHUTIL_READS)
            or (module in ("os", "posix", "nt") and last in OS_WRITES and id(node) not in reading)
        ):
            found.add(name)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        is_method = isinstance(call.func, ast.Attribute)
        name = call.func.attr if is_method else full.get(id(call.func), "").rpartition(".")[2]
        own = is_method and full[id(call.func)].startswith(("os.", "dataclasses."))
        # A string's replace takes two arguments, a path's takes one.
        is_move = is_method and name in ("replace", "rename") and len(call.args) == 1
        if not own and (name in METHODS or (is_move and not call.keywords)):
            found.add(f"?.{name}")
        if name == "memmap" and not any(is_read_only(mode) for mode in modes(call, False, 2)):
            found.add("memmap for writing")
        if name in OPENERS and any(map(may_write, modes(call, is_method))):
            found.add(f"{name} for writing")
    return found


def only_reads(call: ast.Call) -> bool:
    """Whether the flags of `os.open` are spelled out, and all of reading."""
    flags = [
        node.attr for flag in call.args[1:2] for node in ast.walk(flag) if hasattr(node, "attr")
    ]
    return bool(flags) and set(flags) <= READ_FLAGS


def modes(call: ast.Call, is_method: bool, place: int = 1) -> list[ast.expr]:
    named = [keyword.value for keyword in call.keywords if keyword.arg in ("mode", "flags")]
    if not is_method:
        return named + call.args[place : place + 1]
    # The first argument of `path.open(...)` is the mode; of `gzip.open(...)` it is the path.
    return named + [one for one in call.args[:2] if isinstance(one, ast.Constant)]


def may_write(mode: ast.expr) -> bool:
    # A mode that only the run knows could be any.
    if not isinstance(mode, ast.Constant):
        return True
    plain = re.fullmatch(r"([rwxabtU+]+)(?:[:|]\w*)?", str(mode.value))
    return plain is not None and bool(set(plain[1]) & set("wxa+"))


def is_read_only(mode: ast.expr) -> bool:
    return isinstance(mode, ast.Constant) and mode.value in ("r", "c")


@every_file
def test_only_the_store_writes(name: str) -> None:
    found = writes(source_of(name))
    if name.startswith("store/"):
        return
    assert found == MAY_WRITE.get(name, set()), "only silmu.store writes"


def test_the_store_is_seen_to_write() -> None:
    found = {
        what for name in FILES if name.startswith("store/") for what in writes(source_of(name))
    }
    assert {"os.open", "os.write", "?.mkdir", "?.unlink", "?.rename"} <= found


WRITERS = r"""
open(p, 'w')|open(p, mode='ab')|open(p, m)|open(p, 'r+b')|import io; io.open(p, 'xb')|p.open('w')
Path(p).open(mode='a')|p.write_text('')|p.write_bytes(b'')|p.mkdir(parents=True)|p.rename(q)
p.replace(q)|p.unlink()|p.rmdir()|p.symlink_to(q)|p.touch()|import os; os.open(p, flags)
import os; os.open(p, os.O_RDWR)|import os; os.open(p, os.O_WRONLY + os.O_CREAT)
import os as o; o.rename(p, q)|from os import replace|import os; move = os.replace
from os import open as o; o(p, 1)|import os; os.fdopen(h, 'wb')|import shutil; shutil.rmtree(p)
import shutil as s; s.copy(p, q)|from shutil import copytree|import tempfile
from tempfile import mkstemp|import zipfile; zipfile.ZipFile(p, 'w')|import gzip; gzip.open(p, 'wb')
from zipfile import ZipFile as Z; Z(p, 'w')|import tarfile; tarfile.open(p, 'w:gz')|a.tofile(p)
import numpy as np; np.save(p, a)|from numpy import savez; savez(p, a)|import onnx; onnx.save(m, p)
from safetensors.numpy import save_file; save_file(a, p)|frame.to_csv(p)
import numpy as np; np.memmap(p)|np.memmap(p, mode='r+')|np.memmap(p, mode=m)
"""
READERS = r"""
open(p)|open(p, 'rb')|open(p, encoding='utf-8')|p.open('rb')|p.open()|Image.open(p)|Weights.open(f)
'a'.replace('a', 'b')|frame.rename(columns=names)|dataclasses.replace(config, seed=1)
import dataclasses; dataclasses.replace(config)|import os; os.environ['A'] = 'b'; os.path.join('a')
import shutil; shutil.disk_usage('.')|stdout.write('a')|import os; os.open(p, os.O_RDONLY)
import zipfile; zipfile.ZipFile(p)|import tarfile; tarfile.open(p, 'r:gz')
import numpy; numpy.load(p)|import numpy as np; np.memmap(p, t, 'r')|np.memmap(p, mode='r')
"""


def planted(lines: str) -> list[str]:
    return lines.strip().replace("\n", "|").split("|")


@pytest.mark.parametrize("line", planted(WRITERS))
def test_the_gate_sees_a_writer(line: str) -> None:
    assert writes(line)


@pytest.mark.parametrize("line", planted(READERS))
def test_the_gate_lets_readers_pass(line: str) -> None:
    assert writes(line) == set()


# ── nothing that is read is run ────────────────────────────────────────────────────────────────

MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
MODULES |= {"pickletools", "jsonpickle", "runpy"}
NAMES = {"eval", "exec", "builtins.eval", "builtins.exec", "torch.load", "torch.jit.load"}
NAMES |= {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load", "pandas.eval"}
NAMES |= {"pandas.read_pickle", "os.system", "os.popen", "numpy.loads"}
IMPORTERS = {
    "__import__",
    "importlib.import_module",
    "importlib.util.find_spec",
    "importlib.reload",
}
IMPORTERS |= {"importlib.util.spec_from_file_location", "importlib.machinery.SourceFileLoader"}

MAY_IMPORT = {
    "registry.py": {"importlib.import_module", "importlib.util.find_spec"},
    # The public names, late, from a table of its own.
    "__init__.py": {"importlib.import_module"},
    # The verbs, which are files of its own package.
    "cli/__init__.py": {"importlib.import_module"},
    # To find a package's folder, which imports nothing.
    "runtime/packages.py": {"importlib.util.find_spec"},
    # What silmu depends on, to say whether it works.
    "cli/doctor.py": {"importlib.import_module"},
    # The environment that a user names: a file of their own, or what an installed package has.
    "steps/collect/environments/own_code.py": {
        "importlib.import_module",
        "importlib.util.spec_from_file_location",
    },
    "steps/collect/environments/registered.py": {"importlib.import_module"},
}


def runs(source: str) -> set[str]:
    """What in a module could run a file, or a text, that it was given."""
    tree = ast.parse(source)
    found: set[str] = set()
    full: dict[int, str] = {}
    for name, node in full_names(tree):
        full[id(node)] = name
        is_import = isinstance(node, ast.Import | ast.ImportFrom)
        if (is_import and name.partition(".")[0] in MODULES) or name in NAMES | IMPORTERS:
            found.add(name)
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            named = {keyword.arg: keyword.value for keyword in call.keywords}
            for option in ("allow_pickle", "shell", "trust_remote_code"):
                if option in named and getattr(named[option], "value", None) is not False:
                    found.add(option)
            if full.get(id(call.func)) == "numpy.load" and len(call.args) > 2:
                found.add("allow_pickle")
    return found


@every_file
def test_nothing_that_is_read_is_run(name: str) -> None:
    assert runs(source_of(name)) == MAY_IMPORT.get(name, set())


RUNNERS = r"""
import pickle|import pickle as p|from pickle import loads|import cloudpickle|import dill
import joblib|from joblib import load|import shelve|import marshal|import torch; torch.load(p)
from torch import load|import torch as t; read = t.load|import yaml; yaml.load(f)
import numpy as np; np.load(p, allow_pickle=True)|import numpy; numpy.load(p, None, True)
from numpy import load; load(p, allow_pickle=a)|import pandas as pd; pd.read_pickle(p)
import pandas as pd; pd.eval(text)|eval(text)|exec(text)|run = eval
import builtins; builtins.exec(t)|from os import popen
import subprocess; subprocess.run(c, shell=True)|subprocess.run(c, shell=s)|import os; os.system(c)
import importlib; importlib.import_module(m)|from importlib import import_module as i; i(m)
__import__(m)|import importlib.util; importlib.util.find_spec(m)|model(p, trust_remote_code=True)
def f():\n  import pickle
"""
HARMLESS = r"""
model.eval()|import ast; ast.literal_eval(t)|import numpy as np; np.load(p)|engine.load(p)|load(p)
import numpy as np; np.load(p, allow_pickle=False)|import yaml; yaml.safe_load(f)|import json
import subprocess; subprocess.run(c, shell=False)|frame.eval(t)|import importlib.metadata as m
"""


@pytest.mark.parametrize("line", planted(RUNNERS))
def test_the_gate_sees_what_runs(line: str) -> None:
    assert runs(line.replace("\\n", "\n"))


@pytest.mark.parametrize("line", planted(HARMLESS))
def test_the_gate_lets_the_harmless_pass(line: str) -> None:
    assert runs(line) == set()


# ── torch is not needed ────────────────────────────────────────────────────────────────────────

HEAVY = ("torch", "torchvision", "torchaudio", "transformers", "accelerate", "optimum")


def python(code: str, *search: Path) -> SimpleNamespace:
    """Runs code in a fresh interpreter."""
    paths = [*map(str, search), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )
    return SimpleNamespace(code=done.returncode, out=done.stdout, error=done.stderr)


def import_all(
    modules: list[str], *search: Path, absent: tuple[str, ...] = HEAVY
) -> dict[str, str]:
    """Imports modules where torch, or what is named, cannot be imported; which failed, and how."""
    done = python(
        "import sys, json, importlib\n"
        "class Absent:\n"
        # Not None in sys.modules: SciPy takes what is there for the module.
        "    def find_spec(name, path=None, target=None):\n"
        f"        if name.partition('.')[0] in {absent!r}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Absent)\n"
        "failed = {}\n"
        f"for name in {modules!r}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except BaseException as error:\n"
        "        failed[name] = repr(error)\n"
        "print(json.dumps(failed))",
        *search,
    )
    assert done.code == 0, done.error
    return json.loads(done.out)


def module_of(name: str) -> str:
    return f"silmu/{name}".removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def far_side(name: str) -> bool:
    return name.startswith(("networks/", "steps/train/"))


def test_every_module_imports_without_torch() -> None:
    near = [module_of(name) for name in FILES if not far_side(name)]
    # On the base installation the packages of the extras are missing too, which the steps read
    # data with; where they are there, the steps are imported as well.
    if find_spec("duckdb") is None:
        near = [name for name in near if not name.startswith("silmu.steps.")]
    assert import_all(near) == {}


def test_what_pipelines_are_made_of_imports_without_pillow() -> None:
    near = [name for name in FILES if not name.startswith(("networks/", "steps/", "tasks/"))]
    assert import_all([module_of(name) for name in near], absent=(*HEAVY, "PIL")) == {}
    assert "PIL" in import_all(["PIL.Image"], absent=(*HEAVY, "PIL"))["PIL.Image"]


def test_a_module_that_needs_torch_is_caught(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text("from torch import nn")
    assert "torch" in import_all(["planted"], tmp_path)["planted"]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A place where everything heavy could be imported, so that not to import it is a choice."""
    for name in HEAVY:
        (tmp_path / f"{name}.py").write_text("")
    return tmp_path


def loaded(code: str, watched: tuple[str, ...], *search: Path) -> set[str]:
    """Which of some modules a program loads."""
    done = python(f"{code}\nimport sys\nprint({{*sys.modules}} & {{*{watched!r}}})", *search)
    assert done.code == 0, done.error
    last = done.out.splitlines()[-1]
    return set() if last == "set()" else ast.literal_eval(last)


def test_an_answer_loads_no_torch(installed: Path, models: Path) -> None:
    code = (
        "from silmu import pipeline\n"
        f"classifier = pipeline('text-classification', model={str(models / 'bert-sequence')!r})\n"
        "assert classifier('hello')[0]['label']\n"
    )
    watched = (*HEAVY, "PIL")
    assert loaded(code, watched, installed) == set()
    assert loaded(f"{code}import torch, PIL", watched, installed) == {"torch", "PIL"}


def test_importing_silmu_is_cheap(installed: Path) -> None:
    watched = (*HEAVY, "numpy", "onnxruntime", "onnx", "tokenizers", "huggingface_hub", "PIL")
    assert loaded("import silmu", watched, installed) == set()
    assert loaded("import silmu.cli", watched, installed) == set()
    assert loaded("import silmu; silmu.pipeline", watched, installed) >= {"numpy"}


# ── the public names ───────────────────────────────────────────────────────────────────────────


def test_the_public_names_are_what_exists() -> None:
    assert silmu.__all__ == sorted(set(silmu.__all__))
    assert dir(silmu) == silmu.__all__
    for name in silmu.__all__:
        assert getattr(silmu, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = silmu.nothing
    # Whoever reads the types sees the same names.
    typed = {
        alias.asname
        for node in ast.walk(ast.parse(source_of("__init__.py")))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert {*typed, "__version__"} == set(silmu.__all__)


# ── every regular expression takes time in step with the text ──────────────────────────────────

parser, compiler = re._parser, re._compiler  # type: ignore[attr-defined]
NO_END = 1000
CHARACTERS = frozenset(map(chr, range(600)))
ANCHORED = {"match", "fullmatch"}
FUNCTIONS = {
    "match",
    "fullmatch",
    "search",
    "sub",
    "subn",
    "split",
    "findall",
    "finditer",
    "compile",
}


def slow(pattern: str, flags: int = 0, *, searched: bool) -> list[str]:
    """Why a pattern may take longer than in step with the text; stricter than needed, and simple.

    - In a repeat without end, what may be matched in two ways is tried in all ways: other repeats,
      and alternatives that begin alike.
    - Two repeats in a row that take the same characters are tried with every border between them.
    - A search whose repeat is followed by what may fail scans the same run again from each place in
      it where what stands before the repeat may stand too.
    """
    parsed = parser.parse(pattern, flags)
    return list(_slow(list(parsed), parsed.state, [] if searched else None, False))


def _slow(
    items: list, state: Any, before: list[set[str]] | None, fails_after: bool
) -> Iterator[str]:
    items = list(_flat(items))
    for n, (op, given) in enumerate(items):
        after = items[n + 1 :]
        can_fail = fails_after or any(map(_can_fail, after))
        if _is_repeat(op):
            inside, possessive = list(given[2]), op is parser.POSSESSIVE_REPEAT
            if given[1] > NO_END:
                if not possessive:
                    yield from _ambiguous(inside, state)
                    yield from _same_again(items[n], after, state, fails_after)
                if can_fail and _begins_within(_taken(inside, state), before):
                    yield "a search that may scan a run again from each of its places"
            yield from _slow(inside, state, before, can_fail)
        elif op is parser.BRANCH:
            for one in given[1]:
                yield from _slow(list(one), state, before, can_fail)
        elif op in (parser.ASSERT, parser.ASSERT_NOT):
            yield from _slow(list(given[1]), state, before, True)
        elif op is parser.ATOMIC_GROUP:
            yield from _slow(list(given), state, before, can_fail)
        if before is not None:
            before = [*before, *_needed((op, given), state)]


def _needed(item: tuple, state: Any) -> list[set[str]]:
    """The characters that a match needs one of, at or right before the place of an item."""
    op, given = item
    if op is parser.ASSERT_NOT and given[0] < 0 and len(given[1]) == 1:
        return [CHARACTERS - _first(given[1], state)]
    first = _first([item], state)
    return [first] if first and _can_fail(item) else []


def _begins_within(run: set[str], before: list[set[str]] | None) -> bool:
    return before is not None and all(run & one for one in before)


def _flat(items: Any) -> Iterator[tuple]:
    for op, given in items:
        if op is parser.SUBPATTERN:
            yield from _flat(given[3])
        else:
            yield op, given


def _is_repeat(op: object) -> bool:
    return op in (parser.MAX_REPEAT, parser.MIN_REPEAT, parser.POSSESSIVE_REPEAT)


def _can_fail(item: tuple) -> bool:
    op, given = item
    if _is_repeat(op):
        return given[0] > 0
    return op is not parser.BRANCH or all(any(map(_can_fail, _flat(one))) for one in given[1])


def _ambiguous(inside: list, state: Any) -> Iterator[str]:
    for op, given in _flat(inside):
        if op in (parser.MAX_REPEAT, parser.MIN_REPEAT):
            if given[0] != given[1]:
                yield "a repeat within a repeat"
            yield from _ambiguous(list(given[2]), state)
        elif op is parser.BRANCH:
            starts = [_first(one, state) for one in given[1]]
            if not all(starts) or sum(map(len, starts)) > len(set().union(*starts)):
                yield "alternatives that begin alike, within a repeat"
            for one in given[1]:
                yield from _ambiguous(list(one), state)


def _same_again(repeat: tuple, after: list, state: Any, fails_after: bool) -> Iterator[str]:
    taken = _first(repeat[1][2], state)
    for n, (op, given) in enumerate(after):
        is_alike = _is_repeat(op) and given[1] > NO_END and taken & _first(given[2], state)
        if is_alike and (fails_after or any(map(_can_fail, after[n + 1 :]))):
            yield "two repeats in a row that take the same characters"
        if _can_fail((op, given)):
            return


def _taken(items: Any, state: Any) -> set[str]:
    """The characters that may stand anywhere in a match."""
    items = list(_flat(items))
    return set().union(*(_first(items[n:], state) for n in range(len(items))))


def _first(items: Any, state: Any) -> set[str]:
    """The characters, of the first few hundred, that a match may begin with."""
    found: set[str] = set()
    for op, given in _flat(items):
        if _is_repeat(op):
            found |= _first(given[2], state)
        elif op is parser.BRANCH:
            found |= set().union(*(_first(one, state) for one in given[1]))
        elif op in (parser.LITERAL, parser.NOT_LITERAL, parser.IN, parser.ANY):
            one = compiler.compile(parser.SubPattern(state, [(op, given)]))
            found |= {character for character in CHARACTERS if one.match(character)}
        if op not in (parser.AT, parser.ASSERT, parser.ASSERT_NOT) and _can_fail((op, given)):
            return found
    return found


def expressions(name: str) -> Iterator[tuple[str, int, bool]]:
    """Every regular expression of a module, with its flags, and whether it is searched for."""
    tree, module = ast.parse(source_of(name)), importlib.import_module(module_of(name))
    used: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            used.setdefault(node.value.id, set()).add(node.attr)
    assigned = {
        id(node.value): node.targets[0].id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    names = {id(node): full for full, node in full_names(tree)}
    for call in ast.walk(tree):
        full = names.get(id(call.func), "") if isinstance(call, ast.Call) else ""
        if not full.startswith("re.") or full.removeprefix("re.") not in FUNCTIONS:
            continue
        # What is compiled and called nowhere by its name may be searched for.
        methods = {full.removeprefix("re.")}
        if methods == {"compile"}:
            methods = used.get(assigned.get(id(call), ""), {"search"})
        pattern, *others = [*call.args, *(keyword.value for keyword in call.keywords)]
        flags = [value(one, module) for one in others]
        number = sum(int(flag) for flag in flags if isinstance(flag, re.RegexFlag))
        yield value(pattern, module), number, not methods <= ANCHORED


def value(node: ast.expr, module: Any) -> Any:
    """The value of an expression of constants and of names of its module; None if it has none."""
    try:
        return eval(compile(ast.Expression(node), "", "eval"), vars(module))
    except NameError:
        return None


@every_file
def test_every_regular_expression_is_linear(name: str) -> None:
    for pattern, flags, searched in expressions(name):
        assert slow(pattern, flags, searched=searched) == [], pattern


def test_the_regular_expressions_are_found() -> None:
    assert len([one for name in FILES for one in expressions(name)]) >= 15


SLOW = [
    r"(a+)+b",
    r"(a*)*",
    r"(?:ab|\w\w)*!",
    r"(a|aa)*b",
    r"(?:aa?)*b",
    r"(?:(?:ab)*)+c",
    r"a*a*b",
]
SLOW += [r"\w*\d*!", r"(\d*)(,?)(\d*)\}", r".*x.*y|.*.*z", r"(?=(a+)+b)c"]
SLOW_TO_SEARCH = [
    r"\s+$",
    r"\w+-",
    r".*b",
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+"',
    r"a*+b",
    r"(?!.*x)y",
    r"(?<!a) *#",
    r"a[^b]*b",
]
LINEAR = [r"abc", r"^x|y", r"\s+", r"(\D*)(\d*)", r"(?:a|b)*", r'"(?:[^"\\]|\\.)*+"?', r"a{1,9}b"]
LINEAR += [r"(?<! ) *#", r"(?<!x)(?:xx)*y", r"\d*,?", r'"[^"]*"', r"%[^%a]*(?:b|c)"]


@pytest.mark.parametrize("pattern", SLOW)
def test_a_slow_expression_is_seen(pattern: str) -> None:
    assert slow(pattern, searched=False)


@pytest.mark.parametrize("pattern", SLOW_TO_SEARCH)
def test_a_slow_search_is_seen(pattern: str) -> None:
    assert slow(pattern, re.DOTALL, searched=True)


@pytest.mark.parametrize("pattern", LINEAR)
def test_a_linear_expression_passes(pattern: str) -> None:
    assert slow(pattern, searched=True) == []
