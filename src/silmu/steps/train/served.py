"""The files around a trained network, and whether its graph answers as it does.

What is compared is what is served: the graph as a pipeline compiles it, of texts on the token ids
that it makes of them, against what was trained. Torch is not needed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu import graphs, pipelines, store
from silmu.errors import InvalidModelError
from silmu.runtime import processor as processors
from silmu.runtime import session as engine
from silmu.runtime.folder import Folder
from silmu.steps.prepare import prepared as prepare

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

Network = Callable[[dict[str, Any]], Any]
"""(rows, tokens) arrays by name -> logits (rows, outputs), as what was trained gives them."""


def labels_of(prepared: Prepared) -> dict[str, Any]:
    """What config.json says of the outputs, in transformers' words."""
    labels = prepared.labels or prepared.dataset.roles.target
    return {
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": PROBLEMS.get(prepared.kind, "single_label_classification"),
    }


def finish(
    writer: store.FolderWriter,
    name: str,
    head: str,
    prepared: Prepared,
    thresholds: Sequence[float] | None,
    compares: Callable[[Any], None],
) -> None:
    """Writes all that a model folder holds beside config.json and weights, if its graph is right.

    Args:
        writer: of a folder that holds these two.
        name: of the folder, for messages.
        head: what its graph ends in, which is the task.
        prepared: what it was trained on.
        thresholds: from what score on each of several labels is told.
        compares: refuses a pipeline that does not answer as the network did.

    Raises:
        InvalidModelError: graph and network differ.
    """
    for path in sorted(prepared.processor.iterdir()):
        if path.name != processors.FILE:
            writer.copy(path, path.name)
    source = Folder(prepared.processor, str(prepared.processor))
    fitted = processors.Processor.open(source, of_texts=head == HEAD)
    if fitted is not None:
        writer.write(processors.FILE, fitted.with_thresholds(thresholds).to_bytes())
    writer.copy(prepared.path / prepare.SCHEMA, prepare.SCHEMA)
    serve(writer, name, head, compares)


def serve(
    writer: store.FolderWriter, name: str, head: str, compares: Callable[[Any], None]
) -> None:
    """Writes the graph of a folder that holds all else, if it is right.

    Args:
        writer, name, head, compares: as of `finish`.

    Raises:
        InvalidModelError: graph and network differ.
    """
    graphs.write(Folder(writer.folder, name), head, writer, GRAPH)
    engine.compile(writer.path(GRAPH), writer.path(COMPILED), Path(COMPILED_WEIGHTS).name)
    pipe = pipelines.pipeline(head, model=str(writer.folder))
    pipe.model.session = engine.Session(writer.path(COMPILED))
    compares(pipe)
    writer.discard(COMPILED)
    writer.discard(COMPILED_WEIGHTS)


def compare(pipe: Any, network: Network, prepared: Prepared) -> None:
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
        found: NDArray[np.float32] = pipe.model(**feeds)["logits"]
        told = [f"a text of {len(ids):,} tokens" for ids, _ in batch]
        compare_logits(found, network(feeds), told)


def compare_logits(
    found: NDArray[np.float32], expected: NDArray[np.float32], inputs: Sequence[str]
) -> None:
    """Refuses where the logits of a graph are not those of a network; both (rows, outputs).

    Raises:
        InvalidModelError: they differ; it says for which of the inputs.
    """
    if found.shape != expected.shape:
        raise differs(f"it gives {found.shape} for {expected.shape}")
    largest = max(1.0, float(np.abs(expected).max()))
    difference = np.abs(found - expected).max(axis=1)
    worst = int(difference.argmax())
    if not difference[worst] <= TOLERANCE * largest:
        raise differs(
            f"for {inputs[worst]} it gives {found[worst].tolist()}, and the network "
            f"{expected[worst].tolist()}"
        )
    # What the network itself holds equal to within a rounding may come out either way.
    first = np.take_along_axis(expected, found.argmax(1)[:, None], 1)[:, 0]
    if (first < expected.max(1) - 1e-5 * largest).any():
        raise differs("another label comes first")


def differs(how: str) -> InvalidModelError:
    """What is raised where a graph does not answer as its network."""
    return InvalidModelError(
        f"the model is not written, since its graph differs from the network: {how}",
        hint="this is a fault of silmu; what was trained is kept, and a report would help",
    )


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
            raise differs(f"it reads {text!r} as {found.tolist()}, not as {expected.tolist()}")


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
