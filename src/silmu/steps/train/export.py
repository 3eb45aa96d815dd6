"""From a trained network to a model folder whose graph answers as the network does, or to nothing.

What is compared is what is served: the graph as a pipeline compiles it, on token ids that it makes
from the texts, against the network that was trained.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import safetensors.torch
import torch
from torch import nn

from silmu import graphs, pipelines, registry, store
from silmu.errors import InvalidModelError, UnsupportedModelError
from silmu.networks.texts import TextNetwork
from silmu.runtime import processor as processors
from silmu.runtime import session as engine
from silmu.runtime import weights
from silmu.runtime.folder import Folder
from silmu.steps.prepare import prepared as prepare
from silmu.steps.train.losses import Scale

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.steps.prepare.prepared import Prepared

HEAD = "text-classification"
GRAPH = "onnx/model.onnx"
COMPILED, COMPILED_WEIGHTS = "onnx/compiled.onnx", "onnx/compiled.onnx_data"
"""Only on the way: what a pipeline would make of the graph when it is first asked."""
NUM_INPUTS = 200
"""How many inputs network and graph are compared on."""
NUM_TEXTS = 50
"""How many of them also start as texts."""
TOLERANCE = 1e-4
PROBLEMS = {"multiple": "multi_label_classification", "number": "regression"}


def write_model(
    target: Path,
    network: nn.Module,
    prepared: Prepared,
    *,
    temperature: float = 1.0,
    config: Mapping[str, Any] | None = None,
    meta: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a trained network as a model folder, if its graph computes what the network computes.

    The folder holds config.json, model.safetensors, the files of the tokenizer, processor.json,
    schema.json and onnx/model.onnx. A network of transformers' own is saved by transformers, and
    opens there; low-rank updates are merged; a number comes out in the unit of its column.

    Args:
        target: must not exist.
        network: a `TextNetwork`, a network of transformers for sequences, or one of peft over it.
        prepared: what it was trained on.
        temperature: by what its logits are divided, so that its certainty can be believed.
        config: more keys for config.json; `thresholds`, one a label, go to processor.json.
        meta: for the manifest: what the model was made from.

    Raises:
        UnsupportedModelError: silmu has no graph for the network.
        InvalidModelError: graph and network differ; nothing is left.
    """
    extra = dict(config or {})
    thresholds = extra.pop("thresholds", None)
    network = finished(network, prepared, temperature)
    with store.new_folder(target, meta={"task": HEAD, **(meta or {})}) as writer:
        _write_network(writer, network, _labels(prepared) | extra)
        for path in sorted(prepared.processor.iterdir()):
            if path.name != processors.FILE:
                writer.copy(path, path.name)
        fitted = processors.Processor.open(Folder(prepared.processor, str(prepared.processor)))
        if fitted is not None:
            chosen = fitted.with_thresholds(thresholds)
            writer.write(processors.FILE, chosen.to_bytes())
        writer.copy(prepared.path / prepare.SCHEMA, prepare.SCHEMA)
        folder = Folder(writer.folder, Path(target).name)
        graphs.write(folder, HEAD, writer, GRAPH)
        engine.compile(writer.path(GRAPH), writer.path(COMPILED), Path(COMPILED_WEIGHTS).name)
        pipe = pipelines.pipeline(HEAD, model=str(writer.folder))
        pipe.model.session = engine.Session(writer.path(COMPILED))
        compare(pipe, network, prepared)
        writer.discard(COMPILED)
        writer.discard(COMPILED_WEIGHTS)
    return Path(target)


def finished(network: nn.Module, prepared: Prepared, temperature: float = 1.0) -> nn.Module:
    """A copy of the network as it is to be served.

    It is merged, on the CPU, in the user's unit, and as certain as it was found to be right.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    if hasattr(network, "merge_and_unload"):
        network = cast("Any", network).merge_and_unload().eval()
    if prepared.kind == "number":
        scale = Scale.of(prepared.features("train").targets)
        _rescale(network, 1, scale.deviation, scale.mean)
    elif temperature != 1:
        _rescale(network, len(prepared.labels), 1 / temperature, 0.0)
    return network


def compare(pipe: Any, network: nn.Module, prepared: Prepared) -> None:
    """Refuses where a pipeline and a network differ.

    Raises:
        InvalidModelError: on some input the token ids are others than in training, the logits
            differ by more than 1e-4, or another label is first.
    """
    _compare_ids(pipe, prepared)
    session, rows = pipe.model.session, _rows(pipe, prepared)
    for batch in _batches(rows):
        shape = len(batch), max(len(ids) for ids, _ in batch)
        arrays = {name: np.zeros(shape, np.int64) for name in ("token_type_ids", "attention_mask")}
        arrays["input_ids"] = np.full(shape, pipe.tokenizer.special_id("pad") or 0, np.int64)
        for i, (ids, types) in enumerate(batch):
            arrays["input_ids"][i, : len(ids)] = ids
            arrays["attention_mask"][i, : len(ids)] = 1
            if types is not None:
                arrays["token_type_ids"][i, : len(ids)] = types
        feeds = {name: arrays[name] for name in session.inputs}
        with torch.inference_mode():
            answer = network(**{name: torch.tensor(value) for name, value in feeds.items()})
        expected = (answer if isinstance(answer, torch.Tensor) else answer.logits).numpy()
        found: NDArray[np.float32] = pipe.model(**feeds)["logits"]
        _compare_logits(found, expected, [len(ids) for ids, _ in batch])


def _compare_logits(
    found: NDArray[np.float32], expected: NDArray[np.float32], lengths: list[int]
) -> None:
    if found.shape != expected.shape:
        raise _differs(f"it gives {found.shape} for {expected.shape}")
    largest = max(1.0, float(np.abs(expected).max()))
    difference = np.abs(found - expected).max(axis=1)
    worst = int(difference.argmax())
    if not difference[worst] <= TOLERANCE * largest:
        raise _differs(
            f"for a text of {lengths[worst]:,} tokens it gives {found[worst].tolist()}, and the "
            f"network {expected[worst].tolist()}"
        )
    # What the network itself holds equal to within a rounding may come out either way.
    first = np.take_along_axis(expected, found.argmax(1)[:, None], 1)[:, 0]
    if (first < expected.max(1) - 1e-5 * largest).any():
        raise _differs("another label comes first")


def _compare_ids(pipe: Any, prepared: Prepared) -> None:
    """Whether a pipeline makes the ids of texts that the network was given in training."""
    features = prepared.features("validation")
    rows = features.rows[:NUM_TEXTS]
    mask = np.zeros(prepared.dataset.num_rows, bool)
    mask[rows] = True
    for i, (text, *pair) in enumerate(prepare.chosen_texts(prepared.dataset, mask)):
        row = pipe.preprocess({"text": text, "text_pair": pair[0] if pair else None})
        found, expected = row["input_ids"][0], features.ids(i)
        if found.tolist() != expected.tolist():
            raise _differs(f"it reads {text!r} as {found.tolist()}, not as {expected.tolist()}")


def _rows(
    pipe: Any, prepared: Prepared
) -> list[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]] | None]]:
    """Token ids of the shortest and longest texts there can be, and of texts of validation."""
    random = np.random.default_rng(0)
    most = min(prepared.max_length, pipe.model.max_tokens)
    edges = {1, 2, 3, 4, 5, 8, 16, 17, most // 2, most - 1, most}
    vocabulary = len(pipe.tokenizer)
    rows: list[tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]] | None]] = [
        (random.integers(0, vocabulary, length), None)
        for length in sorted(edges)
        if 1 <= length <= most
    ]
    features = prepared.features("validation")
    chosen = np.linspace(0, len(features) - 1, NUM_INPUTS - len(rows)).round().astype(int)
    rows += [(features.ids(i), features.type_ids(i)) for i in sorted(set(chosen.tolist()))]
    while len(rows) < NUM_INPUTS:
        rows.append((random.integers(0, vocabulary, random.integers(1, most + 1)), None))
    return rows


def _batches(rows: list[Any]) -> Iterable[list[Any]]:
    """Alone, and together with rows of other lengths."""
    yield from ([row] for row in rows[:32])
    rest = iter(rows)
    while batch := list(islice(rest, 16)):
        yield batch


def _write_network(writer: store.FolderWriter, network: nn.Module, values: dict[str, Any]) -> None:
    if isinstance(network, TextNetwork):
        text = json.dumps(network.config.to_dict() | values, ensure_ascii=False, indent=1)
        writer.write("config.json", f"{text}\n".encode())
        tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
        data = safetensors.torch.save(tensors, metadata={"format": "pt"})
        writer.write(weights.SINGLE, data)
        return
    own: Any = network
    model_type = getattr(getattr(own, "config", None), "model_type", None)
    if model_type not in registry.model_types():
        raise UnsupportedModelError(
            f"a {type(network).__name__} cannot be saved: silmu has graphs for "
            f"{', '.join(registry.model_types())}"
        )
    for name, value in values.items():
        setattr(own.config, name, value)
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # it is over before it can be seen
    try:
        own.save_pretrained(writer.folder, max_shard_size="1000GB")
    finally:
        if shown:
            logging.enable_progress_bar()


def _labels(prepared: Prepared) -> dict[str, Any]:
    """What config.json says of the outputs, in transformers' words."""
    labels = prepared.labels or prepared.dataset.roles.target[:1]
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": PROBLEMS.get(prepared.kind, "single_label_classification"),
    }


def _rescale(network: nn.Module, outputs: int, factor: float, shift: float) -> None:
    """Puts a factor and a shift of what comes out into the last layer."""
    linear = [one for one in network.modules() if isinstance(one, nn.Linear)]
    last: list[nn.Module] = [*[one for one in linear if one.out_features == outputs][-1:]]
    if isinstance(network, TextNetwork) and network.bag is not None:
        last.append(network.bag.weights)
    shifted = [one for one in last if "bias" in dict(one.named_parameters())]
    if not last or (shift and len(shifted) != 1):
        raise UnsupportedModelError(
            f"a {type(network).__name__} has no last layer with {outputs} outputs and a shift",
            hint="take another --network",
        )
    with torch.no_grad():
        for one in last:
            for parameter in one.parameters():
                parameter.mul_(factor)
        for one in shifted:
            one.get_parameter("bias").add_(shift)


def _differs(how: str) -> InvalidModelError:
    return InvalidModelError(
        f"the model is not written, since its graph differs from the network: {how}",
        hint="this is a fault of silmu; the checkpoint is kept, and a report would help",
    )
