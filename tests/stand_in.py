"""A second engine and a clock, for tests of what is measured: how fast a machine is, none says."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from numpy import float32
from numpy.typing import NDArray

from silmu import extras, graphs
from silmu.errors import UnsupportedModelError
from silmu.graphs import _openvino
from silmu.pipelines import Model, _measured
from silmu.runtime.folder import Folder

ORT, OV = "onnxruntime", "openvino"
SECONDS = {(ORT, "fp32"): 9.0, (ORT, "q8"): 7.0, (OV, "fp32"): 8.0, (OV, "bf16"): 3.0}
SECONDS |= {(OV, "q8"): 2.0}
DRIFT = {"fp32": 1e-6, "bf16": 0.002, "q8": 3.0}
"""By what part of itself the stand-in raises every second number that it gives."""


def forget() -> None:
    """Removes what was measured."""
    for path in graphs.cache_folder().glob("*-measured-*"):
        shutil.rmtree(path)


def clock(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """A clock that stands still but while a model answers; how long each takes can be set."""
    seconds, now = dict(SECONDS), [0.0]
    outputs = _measured._outputs

    def timed(model: Model, ids: list[int]) -> Any:
        now[0] += seconds[model.engine, model.precision]
        return outputs(model, ids)

    monkeypatch.setattr(_measured, "_outputs", timed)
    monkeypatch.setattr(_measured.time, "perf_counter", lambda: now[0])
    return seconds


def measurings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The model of each measuring that is still to come."""
    found: list[str] = []
    models = _measured._models

    def noted(model: Model) -> Any:
        found.append(model.name_or_path)
        return models(model)

    monkeypatch.setattr(_measured, "_models", noted)
    return found


def openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """An install with OpenVINO, in whose place ONNX Runtime computes, a little off."""
    version = extras.version
    monkeypatch.setattr(extras, "version", lambda name: "1.0" if name == OV else version(name))

    def open_openvino(folder: Folder, head: str, dtype: str, device: str) -> Any:
        if "text-generation" in graphs.check(folder, head).HEADS:
            raise UnsupportedModelError("encoders only")
        inner = graphs.open_session(folder, head)
        run = inner.run

        def off(feeds: Any, outputs: Any = None) -> dict[str, NDArray[Any]]:
            found = run(feeds, outputs)
            for value in found.values():
                value[..., ::2] *= float32(1 + DRIFT[dtype])
            return found

        monkeypatch.setattr(inner, "run", off)
        return inner

    monkeypatch.setattr(_openvino, "open_session", open_openvino)
