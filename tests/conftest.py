"""What every test stands on: a cache of its own, no network, and the tiny models."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

Tensors = dict[str, NDArray[np.generic]]

MODELS = Path(__file__).parent / "models"

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


@pytest.fixture(scope="session", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["SILMU_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _logger() -> Iterator[None]:
    """What the command line makes of the logger, as with -v, ends with the test that asked it."""
    logger = logging.getLogger("silmu")
    level, handlers = logger.level, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def models() -> Path:
    """The folder of tiny random models; tools/make_tiny_models.py makes them."""
    return MODELS


@pytest.fixture
def copy(models: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of a model folder, with changes to its config.json or to its tensors."""

    def changed(
        name: str, tensors: Callable[[Tensors], Tensors] | None = None, **config: Any
    ) -> Path:
        folder = tmp_path / name
        shutil.copytree(models / name, folder, dirs_exist_ok=True)
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | config))
        if tensors:
            stored = tensors(load_file(folder / "model.safetensors"))
            save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return changed
