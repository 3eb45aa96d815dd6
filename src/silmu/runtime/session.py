"""The only file that speaks to an inference engine: ONNX Runtime.

A session is made from a graph file whose weights lie beside it. `compile` lets the engine write
that pair in the form in which it can be mapped: optimised, and with the matrices of a decoder
already packed for this processor. A later start maps it and does neither again, which is what makes
the first answer come early; packing costs about the size of those matrices on disk.

The engine reads all packed matrices once when it takes them over (65 ms for 170 MB), and a program
may ask only one question. So a session runs once on the matrices as they are, which is slower and
starts at once, and takes the packed ones over when it runs again.
"""

from __future__ import annotations

import logging
import os
import platform
import threading
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime as ort

from silmu.errors import InvalidModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

logger = logging.getLogger("silmu")

ENGINE = f"onnxruntime-{ort.__version__}"
_NUMPY_TYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its numpy type and its shape, names where it varies."""

    dtype: type[np.generic]
    shape: tuple[int | str | None, ...]


class Session:
    """A graph that is ready to run.

    Args:
        graph: an .onnx file, its external weights beside it.

    Raises:
        InvalidModelError: the engine refuses the graph.
    """

    def __init__(self, graph: Path) -> None:
        self.graph = graph
        self._lock = threading.Lock()
        self._num_runs = 0
        self._session = _start(graph, _options(packed=False))
        self.inputs = {port.name: _port(port) for port in self._session.get_inputs()}
        self.outputs = {port.name: _port(port) for port in self._session.get_outputs()}

    def run(
        self, feeds: Mapping[str, NDArray[Any]], outputs: Sequence[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Runs the graph once; feeds that it does not ask for are left out.

        Raises:
            InvalidModelError: the graph asks for an input that is not among the feeds, or fails.
        """
        if missing := [name for name in self.inputs if name not in feeds]:
            raise InvalidModelError(
                f"{self.graph.name} asks for the inputs {', '.join(missing)}, "
                f"which are not among {', '.join(feeds)}"
            )
        names = list(outputs or self.outputs)
        try:
            arrays = self._ready().run(names, {name: feeds[name] for name in self.inputs})
        except _ENGINE_ERRORS as error:
            raise InvalidModelError(f"{self.graph.name} failed while it ran: {error}") from error
        return dict(zip(names, arrays, strict=True))

    def bind(self, arrays: Mapping[str, NDArray[Any]]) -> Binding:
        """Binds inputs and outputs, by name, to arrays that the engine reads and writes in place.

        An array under the name of an input and one under that of an output may be the same, which
        is how a key-value cache grows without being copied.
        """
        return Binding(self._ready(), arrays, set(self.inputs))

    def _ready(self) -> ort.InferenceSession:
        with self._lock:
            if self._num_runs == 1:
                try:
                    self._session = _start(self.graph, _options())
                except InvalidModelError as error:
                    logger.warning("answers stay slow, because the cache was changed: %s", error)
            self._num_runs += 1
            return self._session


class Binding:
    """A session whose inputs and outputs are bound to arrays of the caller."""

    def __init__(
        self, session: ort.InferenceSession, arrays: Mapping[str, NDArray[Any]], inputs: set[str]
    ) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._values: dict[int, ort.OrtValue] = {}
        for name, array in arrays.items():
            value = self._values.setdefault(id(array), ort.OrtValue.ortvalue_from_numpy(array))
            if name in inputs:
                self._binding.bind_ortvalue_input(name, value)
            else:
                self._binding.bind_ortvalue_output(name, value)
        self._arrays = arrays  # the engine holds addresses only

    def run(self) -> None:
        """Runs the graph once, from and into the bound arrays.

        Raises:
            InvalidModelError: it fails.
        """
        try:
            self._session.run_with_iobinding(self._binding)
        except (*_ENGINE_ERRORS, RuntimeError) as error:
            raise InvalidModelError(f"the graph failed while it ran: {error}") from error


def compile(source: Path, target: Path, weights: str) -> None:
    """Writes the graph `source` as `target`, in the form that this machine can map.

    `weights` is the name of the file, beside `target`, that gets the weights.
    """
    options = _options()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(target)
    for key, value in (
        ("session.optimized_model_external_initializers_file_name", weights),
        ("session.optimized_model_external_initializers_min_size_in_bytes", "1024"),
        ("session.save_external_prepacked_constant_initializers", "1"),
    ):
        options.add_session_config_entry(key, value)
    _start(source, options)


def machine() -> str:
    """What a compiled graph depends on beside its weights: the engine and the processor."""
    flags = ""
    if os.path.exists("/proc/cpuinfo"):  # noqa: PTH110 - pathlib costs a start 10 ms
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            flags = next((line for line in file if line.startswith(("flags", "Features"))), "")
    return f"{ENGINE} {platform.machine()} {platform.system()} {flags or platform.processor()}"


def available_providers() -> list[str]:
    """The processors that the installed engine can use."""
    return list(ort.get_available_providers())


def num_cores() -> int:
    """The cores that this process may use; OMP_NUM_THREADS, which torch obeys too, lowers it."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    given = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(given)) if given.isdecimal() and int(given) > 0 else cores


def check_device(device: object) -> str:
    """The device that a caller names as transformers lets it, as `cpu`.

    Takes -1, an index, a string, or any object with `type` and `index` (a `torch.device`).

    Raises:
        UsageError: the installed engine has no provider for it.
    """
    kind = "cpu"
    if isinstance(device, bool) or not isinstance(device, int | str | None):
        kind = str(getattr(device, "type", device))
    elif isinstance(device, str):
        kind = device.partition(":")[0]
    elif device is not None and device >= 0:
        # transformers takes an index as "that accelerator, if there is one".
        if "CUDAExecutionProvider" not in available_providers():
            warnings.warn(
                f"device={device} asks for an accelerator, and the installed engine "
                f"({ENGINE}) has none: the CPU answers",
                stacklevel=4,
            )
            return "cpu"
        kind = "cuda"
    if kind == "cpu":
        return "cpu"
    raise UsageError(
        f"device {device!r} is not to be had: this version of silmu computes on the CPU",
        hint="leave `device` out, or give -1 or 'cpu'",
    )


def _options(*, packed: bool = True) -> ort.SessionOptions:
    options = ort.SessionOptions()
    if not packed:
        options.add_session_config_entry("session.disable_prepacking", "1")
    options.intra_op_num_threads = num_cores()
    # Or idle threads look for work, which doubles the time of the next answer of another session.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 4  # what matters arrives as an exception
    # Graphs come out of `compile` already optimised.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return options


def _start(graph: Path, options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except _ENGINE_ERRORS as error:
        raise InvalidModelError(f"the engine refuses {graph.name}: {error}") from error


def _port(port: ort.NodeArg) -> Port:
    if port.type not in _NUMPY_TYPES:
        raise InvalidModelError(f"the graph has {port.name} of type {port.type}")
    return Port(_NUMPY_TYPES[port.type], tuple(port.shape))


# The engine's errors have no common base but Exception; they are told by their module.
_ENGINE_ERRORS = tuple(
    error
    for error in vars(ort.capi.onnxruntime_pybind11_state).values()
    if isinstance(error, type) and issubclass(error, Exception)
)
