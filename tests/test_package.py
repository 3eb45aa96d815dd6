"""What a user installs: torch-free, small, typed, and without the tests."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import silmu

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", ["torch", "transformers", "sentence_transformers", "optimum"])
def test_the_tests_run_without(name: str) -> None:
    """So that whatever passes here passes without them; `make test` makes such an environment."""
    assert find_spec(name) is None, f"{name} is installed beside the tests: use a fresh .venv"


def test_it_is_small() -> None:
    done = subprocess.run(
        [sys.executable, "tools/measure_install.py"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("silmu", "numpy", "onnxruntime", "hf-xet"):
        assert f"  {name}\n" in done.stdout


def build(kind: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from hatchling import build as backend

    monkeypatch.chdir(ROOT)  # hatchling builds what it stands in
    make = backend.build_wheel if kind == "wheel" else backend.build_sdist
    return target / make(str(target))


def test_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(build("wheel", tmp_path, monkeypatch)) as wheel:
        names = wheel.namelist()
        (metadata,) = (name for name in names if name.endswith("METADATA"))
        described = wheel.read(metadata).decode()
    assert "silmu/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}
    assert sources <= {name.replace("/", str(Path("/"))) for name in names}
    assert all(
        name.startswith(("silmu/", f"silmu-{silmu.__version__}.dist-info/")) for name in names
    )
    assert f"\nVersion: {silmu.__version__}\n" in described
    assert "torch" not in {line.partition(": ")[2] for line in described.splitlines()}


def test_sdist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(build("sdist", tmp_path, monkeypatch)) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {"pyproject.toml", "LICENSE", "src/silmu/py.typed", "tests/test_package.py"} <= names
    assert not any(name.startswith((".venv", "dist", "runs")) for name in names)
