"""What is written down is true: examples run, and the page of differences is complete."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import silmu
import silmu.store

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(silmu.__path__, "silmu.")
    if not module.name.endswith("__main__")
)


def run(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONWARNINGS": "error"},
        timeout=100,
    )


# Examples.


def ranked(output: str) -> tuple[str, list[float], list[str]]:
    question, *lines = output.splitlines()
    pairs = [line.split(maxsplit=1) for line in lines]
    return question, [float(score) for score, _ in pairs], [sentence for _, sentence in pairs]


def test_the_demo() -> None:
    done = run("examples/compare_sentences.py")
    assert done.returncode == 0, done.stderr
    question, scores, sentences = ranked(done.stdout)
    assert question == "How do I get my money back?"
    assert sentences[:2] == [
        "Send the item back, and we reimburse what you paid.",
        "Refunds are paid within five working days.",
    ]
    assert sentences[-1] == "The sea is cold in March."
    assert scores == sorted(scores, reverse=True)
    # As transformers gives them; shown to three places.
    assert scores[:2] == [0.569, 0.457]
    assert re.fullmatch(r"first answer \d+\.\d\d s after the start of the program\n", done.stderr)


def test_the_demo_with_sentences_of_ones_own() -> None:
    done = run(
        "examples/compare_sentences.py",
        "late parcels",
        stdin="The sea is cold.\n\n소포가 늦었다.\nThe parcel came a week after its time.\n",
    )
    assert done.returncode == 0, done.stderr
    question, scores, sentences = ranked(done.stdout)
    assert question == "late parcels"
    assert len(scores) == 3
    assert sentences[0] == "The parcel came a week after its time."


@pytest.mark.parametrize("arguments", [["one", "two"], ["a question without sentences"]])
def test_the_demo_says_how_it_is_called(arguments: list[str]) -> None:
    done = run("examples/compare_sentences.py", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "sentences" in done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    result = doctest.testmod(
        importlib.import_module(name),
        extraglobs={"store": silmu.store},
        optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
    )
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_in_pages(page: Path) -> None:
    """Parses, and takes from silmu only what silmu has."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("silmu"):
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)


# Differences from transformers.


@pytest.fixture(scope="module")
def differences() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_differences", ROOT / "tools" / "make_differences.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed(page: str) -> set[str]:
    """The sentences of a page, without the capital letter and the full stop."""
    points = re.findall(r"^- (.*)\.$", page, re.MULTILINE)
    return {point[0].lower() + point[1:] for point in points}


def test_every_difference_is_on_the_page(differences: ModuleType) -> None:
    rows: dict[str, str] = json.loads(differences.ROWS.read_text(encoding="utf-8"))
    page = differences.PAGE.read_text(encoding="utf-8")
    assert {why[0].lower() + why[1:] for why in rows.values()} <= listed(page)
    assert page == differences.page(rows), "run `python tools/make_differences.py`"


def test_a_new_difference_would_be_missed(differences: ModuleType) -> None:
    rows = json.loads(differences.ROWS.read_text(encoding="utf-8"))
    rows["4.57.6/question-answering/new"] = "something that the page does not say"
    assert "something that the page does not say" not in listed(
        differences.PAGE.read_text(encoding="utf-8")
    )
    assert "## Question answering" in differences.page(rows).split("Something that")[0]


def test_sentences_read_well(differences: ModuleType) -> None:
    """No pattern is shown to the reader, and no name or identifier gets a capital letter."""
    page = differences.PAGE.read_text(encoding="utf-8")
    assert not re.search(r"\.\*|\(\?!|\\", page)
    assert not re.search(r"^- (Silmu|Transformers|[A-Z]?[a-z]*_)", page, re.MULTILINE)
