"""The second engine, where it is installed: OpenVINO. Beside `session`, no file speaks to one.

It computes encoders and decoders in float32, in bfloat16, and with weights of 8 bits. In the latter
two what an encoder gives for a text depends on how many tokens are computed at once, so each is
computed by itself. Texts that are generated are computed together, see `decoder.StatefulDecoder`.

A decoder's key-value cache is the engine's own: each `Run` has one, which grows in place. A step
shares the key-value heads of all rows out among the threads, to the token: where the threads do not
divide the heads of a row, one is summed in two parts, and where depends on how many rows there are.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops
from openvino.frontend.onnx import ConversionExtension
from openvino.passes import MakeStateful, Manager

from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.runtime import rows
from silmu.runtime.decoder import ATTENTION, CACHE, DOMAIN, PRESENT
from silmu.runtime.session import Port, num_cores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from openvino.frontend.onnx import NodeContext

ENGINE = f"openvino-{ov.__version__}"


def reduced_type() -> str:
    """What this processor computes in where it may be less than float32: `bf16` or `f32`."""
    capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities else "f32"


def compile(source: Path, target: Path, dtype: str) -> None:
    """Writes the graph `source` as `target`, an .xml, and its weights beside it as .bin.

    That is the engine's own format, before anything that depends on the machine. What it can write
    after that starts earlier, and computes rotary positions wrongly (2026.4). Caches are no more
    among what goes in and comes out.

    Raises:
        UnsupportedModelError: it has operators that this engine does not compute.
    """
    core = ov.Core()
    core.add_extension(ConversionExtension(ATTENTION, DOMAIN, _attention))
    try:
        model = core.read_model(str(source))
        _keep_caches(model)
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
            {
                name: Port(np.dtype(kind).type, tuple(shape))
                for name, (kind, shape) in part.items()
                if not name.startswith((CACHE, PRESENT))
            }
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

    def start(self) -> Run:
        """A decoder's cache, empty, and what computes with it."""
        return Run(self._model, self.graph.name)

    def _run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        try:
            with self._lock:  # a compiled graph has one place for what it computes
                found = self._model({**self._defaults, **feeds})
        except RuntimeError as error:
            message = _first_lines(error)
            raise InvalidModelError(f"{self.graph.name} failed while it ran: {message}") from error
        return {name: np.asarray(found[name], np.float32) for name in self.outputs}


class Run:
    """A decoder while it writes; its key-value cache is here, and begins empty.

    Raises:
        InvalidModelError: the graph fails.
    """

    def __init__(self, model: ov.CompiledModel, name: str) -> None:
        self._request = model.create_infer_request()
        self._name = name

    def __call__(self, feeds: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """The scores of the next token, (rows, vocabulary), until the next call."""
        try:
            return self._request.infer(feeds, share_inputs=True, share_outputs=True)["logits"]
        except RuntimeError as error:
            message = _first_lines(error)
            raise InvalidModelError(f"{self._name} failed while it ran: {message}") from error

    def forget(self) -> None:
        """Empties the cache."""
        self._request.reset_state()

    def take(self, rows: NDArray[np.int64]) -> None:
        """Makes the cache that of other rows, of which there may be more or fewer than before."""
        for state in self._request.query_state():
            state.state = ov.Tensor(np.ascontiguousarray(state.state.data[rows]))


def _attention(node: NodeContext) -> list[ov.Output]:
    query, key, value, mask, scale = (node.get_input(i) for i in range(5))
    return ops.scaled_dot_product_attention(query, key, value, mask, scale, causal=False).outputs()


def _keep_caches(model: ov.Model) -> None:
    """Turns what goes in as a cache and comes out longer into a state of the model.

    It begins with no tokens, and as many rows as there are texts.
    """
    caches = [port.any_name for port in model.inputs if port.any_name.startswith(CACHE)]
    if not caches:
        return
    pairs = {name: PRESENT + name.removeprefix(CACHE) for name in caches}
    (ids,) = (node for node in model.get_parameters() if "input_ids" in node.output(0).names)
    zero = ops.constant(0, np.int64)
    rows = ops.gather(ops.shape_of(ids, "i64"), ops.constant([0], np.int64), zero)
    manager = Manager()
    manager.register_pass(MakeStateful(pairs))
    manager.run_passes(model)
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            _, heads, _, size = node.get_output_partial_shape(0)
            rest = ops.constant([heads.get_length(), 0, size.get_length()], np.int64)
            shape = ops.concat([rows, rest], 0)
            node.set_arguments([ops.broadcast(ops.constant(0, np.float32), shape).output(0)])
    model.validate_nodes_and_infer_types()


def _config(dtype: str) -> dict[str, Any]:
    kind = "f32" if dtype == "fp32" else reduced_type()
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": num_cores(),
        "INFERENCE_PRECISION_HINT": kind,
        "KV_CACHE_PRECISION": kind,  # of 8 bits, unless it is told
    }


def _first_lines(error: Exception) -> str:
    """What the engine says, without the lines of its source that it says it with."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check "))]
    return " ".join(said)[:300]
