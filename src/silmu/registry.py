"""Names to modules: which file answers for a task or an architecture.

The file name is the registration. `text-classification` is `pipelines/text_classification.py`
and `bert` is whichever file of `graphs/` lists it in MODEL_TYPES. What a file declares above its
first class or function is read with `ast`, so asking never imports it; other packages add to the
same lists by the entry-point groups `silmu.pipelines`, `silmu.graphs` and `silmu.tasks`.
"""

from __future__ import annotations

import ast
import importlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from silmu.errors import UnknownTaskError, UnsupportedModelError, UsageError

if TYPE_CHECKING:
    from types import ModuleType

_PACKAGE = Path(__file__).parent
_FIRST_DEFINITION = re.compile(r"^(?:@|def |class )", re.MULTILINE)
_TRANSLATION = re.compile(r"translation_[^_]+_to_[^_]+")


@dataclass(frozen=True)
class Declared:
    """What a file says of itself before its first class or function."""

    module: str
    summary: str
    constants: dict[str, Any]
    path: Path


def pipelines() -> dict[str, Declared]:
    """Every task that has a pipeline, by its Hub id, in alphabetical order.

    >>> "question-answering" in pipelines()
    True
    """
    return _by_task(_declared("pipelines"))


def aliases() -> dict[str, str]:
    """Other names of tasks: `{"sentiment-analysis": "text-classification", ...}`."""
    return _aliases(pipelines())


def canonical_task(name: str) -> str:
    """The Hub id of a task that is given by its id or an alias.

    Raises:
        UnknownTaskError: no file of `pipelines/` answers to it; the nearest name is the hint.
    """
    # Cheap things first, since this is on the way to the first answer of every program: to look for
    # the files of other packages alone takes 10 ms.
    if re.fullmatch(r"[a-z0-9-]+", name) and _file("pipelines", name).is_file():
        return name
    if name in (own := _aliases(_by_task(_own("pipelines")))):
        return own[name]
    if name in (known := aliases()):
        return known[name]
    tasks = pipelines()
    if name in tasks:
        return name
    if _TRANSLATION.fullmatch(name) and "translation" in tasks:
        return "translation"
    import difflib

    near = difflib.get_close_matches(name, [*tasks, *known], n=1)
    advice = f"did you mean `{near[0]}`? " if near else ""
    raise UnknownTaskError(
        f"no task named `{name}`; there are {', '.join(sorted([*tasks, *known]))}",
        hint=f"{advice}`silmu tasks` lists all",
    )


def pipeline_module(task: str) -> ModuleType:
    """The imported module that answers a task, given by its Hub id."""
    if _file("pipelines", task).is_file():
        return importlib.import_module(f"silmu.pipelines.{task.replace('-', '_')}")
    return importlib.import_module(pipelines()[task].module)


def tasks() -> dict[str, Declared]:
    """Every task that can be learnt, by its Hub id, in alphabetical order."""
    return _by_task(_declared("tasks"))


def task_module(name: str) -> ModuleType:
    """The imported module of `tasks/` that learns a task, given by its Hub id.

    Raises:
        UnknownTaskError: the task can only be used, with a model that others trained.
    """
    known = tasks()
    if name not in known:
        raise UnknownTaskError(
            f"`{name}` cannot be trained here; there are {', '.join(known)}",
            hint=f'silmu.pipeline("{name}", model=...) answers with a trained model',
        )
    return importlib.import_module(known[name].module)


def scorer_class(rows: str) -> Any:
    """What evaluates models for a kind of rows, named as `collect` names them.

    >>> scorer_class("text").__name__
    'TextScorer'
    """
    module = importlib.import_module(f"silmu.steps.evaluate.{rows}.scorer")
    return getattr(module, f"{rows.capitalize()}Scorer")


def evaluating_module(rows: str, what: str) -> Any:
    """What evaluates models for a kind of rows, named as `collect` names them.

    It is a module of the kind where it is not judged row by row, as others are.

    >>> evaluating_module("series", "test_split").__name__
    'silmu.steps.evaluate.series.test_split'
    >>> evaluating_module("text", "test_split").__name__
    'silmu.steps.evaluate.test_split'

    Args:
        rows: the kind.
        what: `test_split` or `new_data`, what is evaluated on.
    """
    own = (_PACKAGE / "steps" / "evaluate" / rows / f"{what}.py").is_file()
    within = f"{rows}.{what}" if own else what
    return importlib.import_module(f"silmu.steps.evaluate.{within}")


def explaining_module(rows: str) -> Any:
    """What tells why a kind of rows, named as `collect` names them, was answered as it was.

    >>> explaining_module("text").__name__
    'silmu.steps.evaluate.text.explained'
    """
    return importlib.import_module(f"silmu.steps.evaluate.{rows}.explained")


def explains(rows: str) -> bool:
    """Whether there is something that tells why a kind of rows was answered as it was.

    >>> explains("text"), explains("series")
    (True, False)
    """
    return (_PACKAGE / "steps" / "evaluate" / rows / "explained.py").is_file()


def task_of_architecture(architecture: str) -> str | None:
    """The task that a checkpoint's class name tells, or None.

    >>> task_of_architecture("BertForQuestionAnswering")
    'question-answering'
    """
    return next(iter(tasks_of_architecture(architecture)), None)


def tasks_of_architecture(architecture: str) -> list[str]:
    """The tasks that a checkpoint's class name tells; several, if it does not say what is read.

    >>> tasks_of_architecture("BertModel")
    ['feature-extraction', 'image-feature-extraction']
    """
    fitting: dict[int, list[str]] = {}
    for task, declared in pipelines().items():
        for ending in declared.constants.get("ARCHITECTURES", ()):
            if architecture.endswith(ending):
                fitting.setdefault(len(ending), []).append(task)
    return fitting[max(fitting)] if fitting else []


def graph_module(model_type: str) -> ModuleType | None:
    """The imported module of `graphs/` that builds an architecture, or None."""
    declared = _graph(model_type)
    return importlib.import_module(declared.module) if declared else None


def first_position(config: dict[str, Any]) -> int:
    """The position that a model, given by its config.json, counts the first token of a text as.

    It is 0 where the file of the architecture does not declare POSITIONS_START_AFTER, which is a
    number, or a key of config.json and what it is where that is absent.

    >>> first_position({"model_type": "roberta", "pad_token_id": 1})
    2
    """
    declared = _graph(config["model_type"])
    after = declared.constants.get("POSITIONS_START_AFTER", -1) if declared else -1
    last = after if isinstance(after, int) else config.get(*after)
    return last + 1 if isinstance(last, int) else 0


def model_types() -> list[str]:
    """Every `model_type` of config.json for which `graphs/` has a builder."""
    found = (d.constants.get("MODEL_TYPES", ()) for d in _declared("graphs").values())
    return sorted(name for names in found for name in names)


def _graph(model_type: str) -> Declared | None:
    for declared in (_own, _declared):
        for said in declared("graphs").values():
            if model_type in said.constants.get("MODEL_TYPES", ()):
                return said
    return None


def no_graph(model: str, model_type: str) -> UnsupportedModelError:
    """What is said of a model whose architecture `graphs/` has no builder for."""
    return UnsupportedModelError(
        f"`{model}` is a {model_type!r}, and silmu has graphs for {', '.join(model_types())}"
    )


def _file(kind: str, name: str) -> Path:
    return _PACKAGE / kind / f"{name.replace('-', '_')}.py"


@cache
def _declared(kind: str) -> dict[str, Declared]:
    """Module name to declarations, for our own files and for those of other packages."""
    return _own(kind) | {module: _read(module, path) for module, path in _plugins(kind)}


@cache
def _own(kind: str) -> dict[str, Declared]:
    return {
        f"silmu.{kind}.{path.stem}": _read(f"silmu.{kind}.{path.stem}", path)
        for path in sorted((_PACKAGE / kind).glob("[!_]*.py"))
    }


def _by_task(declared: dict[str, Declared]) -> dict[str, Declared]:
    return {module.rpartition(".")[2].replace("_", "-"): said for module, said in declared.items()}


def _aliases(tasks: dict[str, Declared]) -> dict[str, str]:
    return {
        alias: task for task, said in tasks.items() for alias in said.constants.get("ALIASES", ())
    }


def _plugins(kind: str) -> list[tuple[str, Path]]:
    from importlib.metadata import entry_points
    from importlib.util import find_spec

    plugins: list[tuple[str, Path]] = []
    for entry in entry_points(group=f"silmu.{kind}"):
        spec = find_spec(entry.module)
        if spec is None or spec.origin is None:
            raise UsageError(
                f"the entry point `{entry.name}` of group silmu.{kind} names the module "
                f"`{entry.module}`, which cannot be found",
                hint="reinstall or uninstall the package that declares it",
            )
        plugins.append((entry.module, Path(spec.origin)))
    return plugins


def _read(module: str, path: Path) -> Declared:
    source = path.read_text(encoding="utf-8")
    definition = _FIRST_DEFINITION.search(source)
    tree = ast.parse(source[: definition.start()] if definition else source)
    constants: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if _is_public(name):
                constants[name] = ast.literal_eval(value)
            case _:
                pass
    summary = (ast.get_docstring(tree) or "").partition("\n")[0]
    return Declared(module=module, summary=summary, constants=constants, path=path)


def _is_public(name: str) -> bool:
    return name.isupper() and not name.startswith("_")
