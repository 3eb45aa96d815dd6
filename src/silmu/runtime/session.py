"""The only file that speaks to ONNX Runtime; `openvino` speaks to the second engine.

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
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}
PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "dml": "DmlExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
"""The engine's name for each kind of device; accelerators in the order in which they are taken."""
_SLOWER = ["SkipLayerNormFusion"]
"""Changes of the engine to a graph that make it slower on a CPU: a norm with its sums takes four
times as long as each by itself."""
_PACKAGES = {"cuda": "onnxruntime-gpu", "dml": "onnxruntime-directml", "mps": "onnxruntime"}


class Device(str):
    """Where a model computes, such as `cuda:1`; its parts as a `torch.device` has them."""

    @property
    def type(self) -> str:
        """What kind of device."""
        return self.partition(":")[0]

    @property
    def index(self) -> int | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Which of that kind, or None where there is one."""
        number = self.partition(":")[2]
        return int(number) if number else None


CPU = Device("cpu")


@dataclass(frozen=True)
class Port:
    """An input or output of a graph: its numpy type and its shape, names where it varies."""

    dtype: type[np.generic]
    shape: tuple[int | str | None, ...]


class Session:
    """A graph that is ready to run.

    Args:
        graph: an .onnx file, its external weights beside it.
        device: as `choose_device` gives it; the graph is one of `compile` only for the CPU.
        at_once: takes the packed matrices over from the first run on. Where there are few bits a
            weight they are soon read, and in blocks they compute otherwise than those not packed.

    Raises:
        InvalidModelError: the engine refuses the graph.
    """

    def __init__(self, graph: Path, *, device: str = "cpu", at_once: bool = False) -> None:
        self.graph = graph
        self._device = Device(device)
        self._lock = threading.Lock()
        self._is_ready = at_once or self._device != "cpu"
        self._num_runs = 0
        self._session = _start(graph, _options(packed=self._is_ready), self._device)
        self.inputs = {port.name: _port(port) for port in self._session.get_inputs()}
        self.options = {port.name for port in self._session.get_overridable_initializers()}
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
            wanted = [*self.inputs, *(name for name in self.options if name in feeds)]
            arrays = self._ready().run(names, {name: feeds[name] for name in wanted})
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
            if self._num_runs == 1 and not self._is_ready:
                try:
                    self._session = _start(self.graph, _options())
                except InvalidModelError as error:
                    logger.warning("answers stay slow, because the cache was changed: %s", error)
            self._num_runs += 1
            return self._session


Value = ort.OrtValue
"""An array that the engine holds, given from one run to the next without being copied."""


class ForeignSession(Session):
    """A graph that another program exported: made ready at every start, and nothing of it kept.

    Args:
        graph: an .onnx file, its external weights beside it.
        device: as `choose_device` gives it.

    Raises:
        InvalidModelError: the engine refuses the graph.
    """

    def __init__(self, graph: Path, *, device: str = "cpu") -> None:
        self.graph = graph
        options = _options()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
        self._session = _start(graph, options, Device(device))
        self.inputs = {port.name: _port(port) for port in self._session.get_inputs()}
        self.options: set[str] = set()
        self.outputs = {port.name: _port(port) for port in self._session.get_outputs()}

    def run_kept(self, feeds: Mapping[str, Value], outputs: Sequence[str]) -> dict[str, Value]:
        """Runs the graph once, and leaves with the engine what comes out.

        Raises:
            InvalidModelError: it fails.
        """
        try:
            found = self._session.run_with_ort_values(outputs, feeds)
        except (*_ENGINE_ERRORS, RuntimeError) as error:
            raise InvalidModelError(f"{self.graph.name} failed while it ran: {error}") from error
        return dict(zip(outputs, found, strict=True))

    def run_into(self, feeds: Mapping[str, Value], outputs: Mapping[str, Value]) -> None:
        """Runs the graph once, into places that may be among what it reads.

        Raises:
            InvalidModelError: it fails.
        """
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_ortvalue_input(name, value)
        for name, value in outputs.items():
            binding.bind_ortvalue_output(name, value)
        try:
            self._session.run_with_iobinding(binding)
        except (*_ENGINE_ERRORS, RuntimeError) as error:
            raise InvalidModelError(f"{self.graph.name} failed while it ran: {error}") from error

    def _ready(self) -> ort.InferenceSession:
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
    # With the last level come layouts for this processor's registers, in which convolutions are
    # faster.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
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


def choose_device(device: object = None) -> Device:
    """Where to compute, for a device as transformers lets a caller name it.

    None takes CUDA if the installed engine has it, else the CPU. A number from 0 on takes the
    first kind of accelerator that the engine has, or the CPU with a warning; -1 the CPU. A text
    such as `cuda:1`, or an object with `type` and `index` as a `torch.device`, is taken as it is.

    Raises:
        UsageError: it is no device, or the installed engine has no provider for it.
    """
    here = [kind for kind, name in PROVIDERS.items() if name in available_providers()]
    kind, index = _parts(device)
    if kind is None:
        accelerators = [one for one in here if one != "cpu"]
        if device is None:
            accelerators = [one for one in accelerators if one == "cuda"]
        elif not accelerators and index is not None:
            warnings.warn(
                f"device={device} asks for an accelerator, and the installed engine "
                f"({ENGINE}) has none: the CPU answers",
                stacklevel=4,
            )
        kind = accelerators[0] if accelerators and index is not None else "cpu"
    if kind not in here:
        package = _PACKAGES.get(kind)
        raise UsageError(
            f"device {device!r} is not to be had: the installed engine ({ENGINE}) computes on "
            f"{', '.join(here)}",
            hint="leave `device` out, or give -1 or 'cpu'"
            + (f"; the package {package} brings `{kind}`" if package else ""),
        )
    return Device(kind if kind in ("cpu", "mps") else f"{kind}:{index or 0}")


def _parts(device: object) -> tuple[str | None, int | None]:
    """The kind of a device, None for any accelerator, and its number, None for the CPU."""
    if device is None:
        return None, 0
    if isinstance(device, int) and not isinstance(device, bool):
        return None, device if device >= 0 else None
    kind = getattr(device, "type", None)
    if isinstance(kind, str):
        return kind, getattr(device, "index", None)
    kind, colon, number = str(device).partition(":")
    if colon and not number.isdecimal():
        raise UsageError(
            f"device is {device!r}", hint="such as -1, 0, 'cpu', 'cuda', 'cuda:1' or 'mps'"
        )
    return kind, int(number) if colon else None


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


def _start(graph: Path, options: ort.SessionOptions, device: Device = CPU) -> ort.InferenceSession:
    providers: list[str | tuple[str, dict[str, str]]] = [PROVIDERS["cpu"]]
    if device != "cpu":
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        name, index = PROVIDERS[device.type], device.index
        providers.insert(0, name if index is None else (name, {"device_id": str(index)}))
    if device.type == "dml":  # which cannot do with it
        options.enable_mem_pattern = False
    disabled = _SLOWER if device == "cpu" else []
    try:
        return ort.InferenceSession(
            str(graph), options, providers=providers, disabled_optimizers=disabled
        )
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
