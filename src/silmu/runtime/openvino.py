"""The second engine, where it is installed: OpenVINO. Beside `session`, no file speaks to one.

It computes encoders in float32, in bfloat16, and with weights of 8 bits. In the latter two what a
text gives depends on how many tokens are computed at once, so each is computed by itself.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime import rows
from silmu.runtime.session import Port, num_cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

ENGINE = f"openvino-{ov.__version__}"


def reduced_type() -> str:
    """What this processor computes in where it may be less than float32: `bf16` or `f32`."""
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


def compile(source: Path, target: Path, dtype: str) -> None:
    """Writes the graph `source` as `target`, an .xml, and its weights beside it as .bin.

    That is the engine's own format, before anything that depends on the machine. What it can write
    after that starts earlier, and computes rotary positions wrongly (2026.4).

    Raises:
        UnsupportedModelError: it has operators that this engine does not compute.
    """
    core = ov.Core()
    try:
        model = core.read_model(str(source))
        core.compile_model(model, "CPU", _config(dtype))
        ov.save_model(model, str(target), compress_to_fp16=False)
    except RuntimeError as error:  # of whatever is wrong, the engine says no more
        raise UnsupportedModelError(
            f"{ENGINE} does not compute this model: {_first_lines(error)}",
            hint="leave the engine out: ONNX Runtime does",
        ) from error


class OpenVinoSession:
    """A graph that is ready to run, as `session.Session` is.

    Args:
        graph: what `compile` gave.
        ports: beside it, the inputs and outputs as JSON: of each its type and shape, and which may
            be left out. The engine's format has no names for sizes that vary.
        dtype: what it is computed in.

    Raises:
        InvalidModelError: the engine refuses it.
    """

    def __init__(self, graph: Path, ports: Path, *, dtype: str) -> None:
        self.graph = graph
        said: dict[str, dict[str, Any]] = json.loads(ports.read_text(encoding="utf-8"))
        self.inputs, optional, self.outputs = (
            {name: Port(np.dtype(kind).type, tuple(shape)) for name, (kind, shape) in part.items()}
            for part in (said["inputs"], said["options"], said["outputs"])
        )
        self.options = set(optional)
        self._defaults = {name: np.zeros(0, port.dtype) for name, port in optional.items()}
        self._per_token = {name for name, port in self.outputs.items() if "tokens" in port.shape}
        self._together = dtype == "fp32"
        self._lock = threading.Lock()
        try:
            self._model = ov.Core().compile_model(str(graph), "CPU", _config(dtype))
        except RuntimeError as error:
            raise InvalidModelError(
                f"{ENGINE} refuses {graph.name}: {_first_lines(error)}"
            ) from error

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Runs the graph; feeds that it does not ask for are left out.

        Raises:
            InvalidModelError: the graph asks for an input that is not among the feeds, or fails.
        """
        if missing := [name for name in self.inputs if name not in feeds]:
            raise InvalidModelError(
                f"{self.graph.name} asks for the inputs {', '.join(missing)}, "
                f"which are not among {', '.join(feeds)}"
            )
        wanted = {name: feeds[name] for name in (*self.inputs, *self.options) if name in feeds}
        # One row may be padded too.
        found = (
            self._run(wanted) if self._together else rows.apart(self._run, wanted, self._per_token)
        )
        return {name: found[name] for name in outputs or self.outputs}

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            with self._lock:  # a compiled graph has one place for what it computes
                found = self._model({**self._defaults, **feeds})
        except RuntimeError as error:
            message = _first_lines(error)
            raise InvalidModelError(f"{self.graph.name} failed while it ran: {message}") from error
        return {name: np.asarray(found[name], np.float32) for name in self.outputs}


def _config(dtype: str) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": num_cores(),
        "INFERENCE_PRECISION_HINT": "f32" if dtype == "fp32" else reduced_type(),
    }


def _first_lines(error: Exception) -> str:
    """What the engine says, without the lines of its source that it says it with."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return " ".join(said)[:300]
