"""Hugging Face folder to fused ONNX graph, straight from safetensors.

One file a family; it declares MODEL_TYPES (the `model_type` values of config.json that it builds),
HEADS (what it can end in, and the tensor that proves that the checkpoint was trained for it, or
the tensors of which one does) and PREFIX (what the checkpoint puts before the body's names, if the
body is part of a larger model; `{model_type}` in it stands for which of the family it is);
DTYPES, if not in all of ours; PACKED, if the engine packs its matrices; and ONLY_USED, if no
training goes on from it.

A graph is built once for a model, a head, a precision, an engine and a machine, and kept in the
cache; the key is made of what it was built from, so a changed file makes a new one, which takes the
place of the old.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from silmu.errors import UsageError
from silmu.graphs import _cache
from silmu.graphs._cache import GRAPH
from silmu.graphs._cache import WEIGHTS as WEIGHTS
from silmu.graphs._cache import cache_folder as cache_folder
from silmu.graphs._cache import is_there as is_there
from silmu.graphs._cache import kept_in_cache as kept_in_cache
from silmu.graphs._cache import place as place
from silmu.graphs._cache import remove_older as remove_older
from silmu.graphs._families import DTYPES as DTYPES
from silmu.graphs._families import ENGINES as ENGINES
from silmu.graphs._families import ONNXRUNTIME, OPENVINO, check, choose_dtype
from silmu.graphs._families import SHOWN as SHOWN
from silmu.graphs._families import prefix as prefix
from silmu.runtime import session

if TYPE_CHECKING:
    from silmu import store
    from silmu.graphs._layers import Described as Described
    from silmu.graphs._layers import Field as Field
    from silmu.runtime.folder import Folder
    from silmu.runtime.openvino import OpenVinoSession

MAX_FILE_BYTES = (1 << 31) - (16 << 20)
"""What a single ONNX file may hold of weights: a protobuf ends at 2 GB."""


def open_session(
    folder: Folder,
    head: str,
    *,
    dtype: str = "fp32",
    device: str = "cpu",
    engine: str = ONNXRUNTIME,
) -> session.Session | OpenVinoSession:
    """A session for a model folder with a head, such as `question-answering`.

    Args:
        folder: config.json and safetensors.
        head: what the graph ends in.
        dtype: as `runtime.dtypes` names it; `fp16` computes in fp32, and so does `bf16` but with
            OpenVINO.
        device: as `runtime.session.choose_device` gives it.
        engine: one of ENGINES.

    Raises:
        UsageError: no graph is built in this precision, or none for this device.
        MissingExtraError: the engine is not installed.
        UnsupportedModelError: no graph is written for this architecture or head, or the checkpoint
            was never trained for it.
        InvalidModelError: config.json and weights are broken, or do not agree.
    """
    dtype, device = choose_dtype(folder, dtype, engine), session.Device(device)
    if engine == OPENVINO:
        from silmu.graphs import _openvino

        return _openvino.open_session(folder, head, dtype, device)
    if dtype != "fp32" and device != "cpu":
        raise UsageError(
            f"dtype {dtype} with device {device}: weights of few bits compute on the CPU",
            hint="leave one of the two out",
        )
    on_cpu = device == "cpu"
    kind = dtype if on_cpu else f"{dtype}-{device.type}"

    def make(writer: store.FolderWriter) -> None:
        from silmu.graphs import _building  # late, as a graph that is kept needs no onnx

        _building.build(writer, folder, head, dtype, compiled=on_cpu)

    cached = _cache.made(folder, head, kind, session.machine(), dtype, make)
    return session.Session(cached / GRAPH, device=device, at_once=dtype != "fp32")


def open_layers(folder: Folder, head: str) -> session.Session:
    """A session that gives, beside what `open_session` gives, what lies between the layers.

    Their names begin with `layers.` and come in the order of the network: (rows, channels, height,
    width) of convolutions, (rows, tokens, hidden) of transformers. `described` tells the rest.

    Raises:
        UnsupportedModelError, InvalidModelError: as `open_session`.
    """

    def make(writer: store.FolderWriter) -> None:
        from silmu.graphs import _building

        _building.build(writer, folder, head, "fp32", compiled=True, shows=True)

    cached = _cache.made(folder, head, "layers", session.machine(), "fp32", make)
    return session.Session(cached / GRAPH)


def described(layers: session.Session) -> Described:
    """The first filters of a session of `open_layers`, and what the places of each layer see."""
    from silmu.graphs._layers import Described

    return Described.read(layers.graph.parent)


def write(
    folder: Folder, head: str, writer: store.FolderWriter, name: str, *, dtype: str = "fp32"
) -> None:
    """Writes the graph of a model folder as one ONNX file, its weights within.

    It is for any machine, and for other programs too, with the names that optimum gives to what
    goes in and comes out. A decoder reads `past_key_values.*`, which may be empty, and gives
    `present.*`, its rows padded on the left or not at all. Weights of more than 2 GB,
    the most that such a file can hold, lie in a second file beside it, `<name>_data`.

    Raises:
        UsageError, UnsupportedModelError, InvalidModelError: as `open_session`.
    """
    from silmu.graphs import _building

    beside = f"{name}_data"
    with writer.open(beside) as file:
        chosen = choose_dtype(folder, dtype)
        precision = _building.held(check(folder, head), chosen, any_machine=True)
        name_beside = Path(beside).name
        graph, size = _building.graph(folder, head, file, name_beside, precision, exported=True)
    if size <= MAX_FILE_BYTES:
        import onnx

        model = onnx.load_model_from_string(graph)
        onnx.load_external_data_for_model(model, str(writer.path(name).parent))
        graph = model.SerializeToString()
        writer.discard(beside)
    writer.write(name, graph)
