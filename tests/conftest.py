"""What every test stands on: a cache of its own, no network, and the tiny models."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

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
