"""README is true: its programs run as they stand, and its numbers are those that were measured."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
READMES = ["README.md", "README.ko.md"]
COMMIT = "0123456789abcdef0123456789abcdef01234567"

# What the hub has under these names, in the tests: the tiny models of the same architectures.
HUB = {
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": (
        "distilbert-sequence",
        "714eb0f",
    ),
    "distilbert-base-uncased-distilled-squad": ("distilbert-qa", "main"),
    "gpt2": ("gpt2-lm", "main"),
}

sys.path.insert(0, str(ROOT / "tools"))
import make_readme  # noqa: E402 - it is no package


def programs(readme: str) -> list[str]:
    text = (ROOT / readme).read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def hub_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache in the layout of the real one: snapshots that link into blobs."""
    cache = tmp_path_factory.mktemp("hub")
    for name, (model, revision) in HUB.items():
        repository = cache / f"models--{name.replace('/', '--')}"
        snapshot = repository / "snapshots" / COMMIT
        for folder in (snapshot, repository / "blobs", repository / "refs"):
            folder.mkdir(parents=True)
        (repository / "refs" / revision).write_text(COMMIT)
        for file in (MODELS / model).iterdir():
            blob = repository / "blobs" / file.name
            blob.write_bytes(file.read_bytes())
            (snapshot / file.name).symlink_to(Path("../../blobs") / file.name)
    return cache


@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege on Windows")
@pytest.mark.parametrize(
    ("readme", "number"),
    [(readme, i) for readme in READMES for i in range(len(programs(readme)))],
)
def test_the_programs_run_as_they_stand(readme: str, number: int, hub_cache: Path) -> None:
    program = programs(readme)[number]
    environment = {**os.environ, "HF_HUB_CACHE": str(hub_cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        encoding="utf-8",
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_there_are_the_three_programs() -> None:
    for readme in READMES:
        found = "\n".join(programs(readme))
        for call in ('"sentiment-analysis"', '"question-answering"', 'model="gpt2"'):
            assert call in found


@pytest.mark.parametrize("readme", READMES)
def test_the_numbers_are_those_that_were_measured(readme: str) -> None:
    text = (ROOT / readme).read_text(encoding="utf-8")
    assert make_readme.BLOCK.search(text), "the comparison has lost its place"
    assert make_readme.written(text, make_readme.comparisons()) == text, (
        "run tools/make_readme.py, which writes what benchmarks/results says"
    )
