"""Write a model as an ONNX folder, for other programs too, and measure what that changes.

  silmu export MODEL --dtype q8 --output DIR
  silmu export MODEL --dtype q8 --output DIR --data reviews.csv --json

DIR holds config.json, the tokenizer and onnx/model_quantized.onnx, as transformers.js and optimum
lay them out; `silmu use DIR` answers with it. --dtype is fp32, q8 (8 bits) or q4 (4 bits). The
graph is opened again and compared with fp32 on the texts of --data (the first 1000), on its
pictures (the first 32), or on some that come with silmu: by how much its numbers differ, how often
it comes to the same, how large and how fast it is.
A decoder reads past_key_values.* and gives present.*, with padding on the left.
"""

from __future__ import annotations

import argparse
import json
import math
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from silmu.cli import DONE, _flags, _words, answer, tell
from silmu.errors import InputError, UnsupportedModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from silmu import store
    from silmu.pipelines import Pipeline

    Inputs = dict[str, Any]

MOST_TEXTS = 1000
MOST_PICTURES = 32
TIMES = 3
"""How often each text is asked; the quickest counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """MODEL, in which precision, where to, and on what it is measured."""
    parser.add_argument("model", metavar="MODEL", help="a folder, or an id on the hub")
    _flags.add(
        parser,
        *("--task", "--revision", "--dtype", "--output"),
        *("--data", "--input", "--json"),
    )


def run(args: argparse.Namespace) -> int:
    """Writes the folder, measures it, and prints what was found."""
    from silmu import graphs, store
    from silmu.pipelines import _measured, pipeline
    from silmu.runtime import dtypes

    if args.output is None:
        raise UsageError("--output is missing: the folder to write")
    dtype = dtypes.canonical(args.dtype or "fp32")
    if dtype not in graphs.DTYPES:
        raise UsageError(
            f"--dtype is {dtype}; it may be {', '.join(graphs.DTYPES)}",
            # What is the quickest here need not be so where the folder goes to.
            hint="`silmu use --dtype auto -v` measures this machine; name what it takes"
            if dtype == dtypes.AUTO
            else None,
        )
    full = pipeline(args.task, args.model, revision=args.revision, dtype="fp32", device=-1)
    if full.model.exported is not None:
        raise UnsupportedModelError(
            f"`{args.model}` is an ONNX graph already; export makes one of safetensors"
        )
    if full.rows in ("table", "series", "environment"):
        raise UnsupportedModelError(
            f"`{args.model}` is for {full.task}, and export is for models of texts and pictures",
            hint="`silmu train` wrote its graph already, as onnx/model.onnx",
        )
    if full.model.head == "zero-shot-image-classification":
        raise UnsupportedModelError(
            f"`{args.model}` answers with two graphs, of pictures and of texts; export writes one",
            hint="--task image-feature-extraction writes that of pictures",
        )
    if graphs.choose_dtype(full.model.folder, dtype) != dtype:
        raise UsageError(f"`{args.model}` cannot be had in {dtype}", hint="leave --dtype out")
    if full.rows == "image":
        many, inputs = "pictures", _pictures(full, args)
    else:
        many = "texts"
        inputs = _rows_of(
            full, _measured.TEXTS if args.data is None else _read(args.data, args.input)
        )
    target = Path(args.output).absolute()
    meta = {"model": args.model, "task": full.task, "dtype": dtype}
    with store.new_folder(target, meta=meta) as writer:
        graph = f"onnx/model{dtypes.SUFFIXES[dtype]}.onnx"
        _write(writer, full, graph, dtype)
        report = {**meta, "output": str(target), "graph": graph}
        report |= _sizes(writer.folder / graph, full)
        reduced = pipeline(full.task, writer.folder, dtype=dtype, device=-1)
        report |= _measure(full, reduced, many, inputs)
    answer(_words.as_json(report) if args.json else _told(report))
    return DONE


def _read(source: str, column: str | None) -> list[str]:
    from silmu.cli import _rows

    texts: list[str] = []
    with closing(_rows.open_source(source)) as rows:
        first = rows.first()
        if first is not None:
            column = _rows.choose_column(rows.name, first, column)
            for block in rows.blocks(MOST_TEXTS):
                texts += [text for text in block.values(column) if isinstance(text, str) and text]
                if len(texts) >= MOST_TEXTS:
                    break
    if not texts:
        raise UsageError(f"`{source}` has no texts to measure on")
    return texts[:MOST_TEXTS]


def _write(writer: store.FolderWriter, pipe: Pipeline, graph: str, dtype: str) -> None:
    """Writes the graph, and beside it whatever a reader of the model needs but its weights."""
    from silmu import graphs
    from silmu.runtime import hub, weights

    folder = pipe.model.folder
    graphs.write(folder, pipe.model.head, writer, graph, dtype=dtype)
    config: dict[str, Any] = dict(folder.config)
    # transformers.js takes 8 bits in a browser and fp32 elsewhere, unless it is told.
    said: dict[str, Any] = {**(config.get("transformers.js_config") or {}), "dtype": dtype}
    if (writer.folder / f"{graph}_data").exists():
        said["use_external_data_format"] = {Path(graph).name: True}
    config["transformers.js_config"] = said
    text = json.dumps(config, ensure_ascii=False, indent=2)
    writer.write("config.json", f"{text}\n".encode("utf-8", "backslashreplace"))
    left_out = {"config.json", weights.INDEX, *weights.files(folder)}
    for name in hub.used_files(folder):
        if name not in left_out:
            writer.copy(folder.file(name), name)
    reads_text = pipe.rows == "text" or pipe.reads_text
    if reads_text and not folder.has("tokenizer.json"):
        writer.write("tokenizer.json", pipe.tokenizer.backend_tokenizer.to_str().encode())


def _sizes(graph: Path, full: Pipeline) -> dict[str, Any]:
    from silmu.runtime import weights

    size = sum(path.stat().st_size for path in graph.parent.glob(f"{graph.name}*"))
    tensors = weights.Weights.open(full.model.folder).tensors.values()
    whole = sum(4 * math.prod(tensor.shape) for tensor in tensors)
    return {"bytes": size, "bytes_fp32": whole, "size_ratio": round(size / whole, 4)}


def _rows_of(pipe: Pipeline, texts: Sequence[str]) -> list[Inputs]:
    """The token ids of each text, (1, tokens)."""
    import numpy as np

    most = min(pipe.model.max_tokens, 512)
    found = (pipe.tokenizer.encode(text, truncation=True, max_length=most) for text in texts)
    return [{"input_ids": np.array([row.ids], np.int64)} for row in found if row.ids]


def _pictures(pipe: Pipeline, args: argparse.Namespace) -> list[Inputs]:
    """The pixels of each picture, (1, channels, height, width): of --data, or soft noise."""
    found: list[Inputs] = []
    unread = 0
    for one in _noise() if args.data is None else _of_data(pipe, args):
        try:
            found.append(cast("Inputs", pipe.preprocess(one)))
        except InputError:
            unread += 1
        if len(found) == MOST_PICTURES:
            break
    if unread:
        tell(f"of `{args.data}`, {unread:,} could not be read, and were not measured on")
    if not found:
        raise UsageError(f"`{args.data}` has no pictures to measure on")
    return found


def _noise() -> Iterator[Any]:
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    while True:
        yield Image.fromarray(draw.integers(0, 256, (8, 8, 3), np.uint8)).resize((256, 256))


def _of_data(pipe: Pipeline, args: argparse.Namespace) -> Iterator[Any]:
    from silmu.cli import _rows
    from silmu.cli._images import Images

    asked = Images(pipe, {}, args.input)
    with closing(_rows.open_source(args.data, pictures=True)) as rows:
        asked.expect(rows)
        for block in rows.blocks(1):
            yield from (one for _, one in asked.of_block(block) if isinstance(one, str))


def _measure(
    full: Pipeline, reduced: Pipeline, many: str, rows: Sequence[Inputs]
) -> dict[str, Any]:
    """Both on the same inputs, in turn: by how much they differ, and how long each takes."""
    import time

    import numpy as np

    seconds = [0.0, 0.0]
    difference, cosines, same = list[float](), list[float](), list[float]()
    largest = 0.0
    for pipe in (full, reduced):  # the first runs take the weights over
        for row in rows[:2]:
            _outputs(pipe, row)
    for row in rows:
        found = list[dict[str, Any]]()
        for i, pipe in enumerate((full, reduced)):
            times, outputs = list[float](), dict[str, Any]()
            for _ in range(TIMES):
                start = time.perf_counter()
                outputs = _outputs(pipe, row)
                times.append(time.perf_counter() - start)
            seconds[i] += min(times)
            found.append(outputs)
        one, other = (
            np.concatenate([np.ravel(value) for value in outputs.values()]).astype(np.float64)
            for outputs in found
        )
        gaps = np.abs(one - other)
        largest = max(largest, float(gaps.max()))
        difference.append(float(gaps.mean()))
        norms = float(np.linalg.norm(one) * np.linalg.norm(other))
        cosines.append(float(one @ other) / norms if norms else 1.0)
        same += _same(full, *found)
    return {
        many: len(rows),
        "difference": {"max": largest, "mean": float(np.mean(difference))},
        "cosine": {"min": min(cosines), "mean": float(np.mean(cosines))},
        "agreement": float(np.mean(same)) if same else None,
        "seconds": seconds[1],
        "seconds_fp32": seconds[0],
        "speed_ratio": round(seconds[0] / seconds[1], 3),
    }


def _outputs(pipe: Pipeline, row: Inputs) -> dict[str, Any]:
    """What the model computes of an input: for a decoder, the scores of the token that follows."""
    if pipe.model.head == "text-generation":
        ids: list[int] = row["input_ids"][0].tolist()
        return {"logits": pipe.model.decoder().start([ids], len(ids)).copy()}
    return dict(pipe.model(**row))


def _same(pipe: Pipeline, one: dict[str, Any], other: dict[str, Any]) -> list[float]:
    """Whether both come to the same: the label, the token, the place. Vectors come to nothing."""
    if pipe.model.head.endswith("feature-extraction"):
        return []
    pairs = [(value, other[name]) for name, value in one.items()]
    config = pipe.model.config
    if config.problem_type == "regression":
        return []
    if config.problem_type == "multi_label_classification":
        return [float(((a > 0) == (b > 0)).mean()) for a, b in pairs]
    return [float((a.argmax(-1) == b.argmax(-1)).mean()) for a, b in pairs]


def _told(report: dict[str, Any]) -> str:
    gaps, cosine = report["difference"], report["cosine"]
    many = "pictures" if "pictures" in report else "texts"
    lines = [
        report["output"],
        f"{report['graph']}: {report['bytes'] / 1e6:,.1f} MB, fp32 would be "
        f"{report['bytes_fp32'] / 1e6:,.1f}",
        f"differs from fp32 by {gaps['max']:.2g} at most, {gaps['mean']:.2g} on average; "
        f"cosine {cosine['mean']:.5f}, at least {cosine['min']:.5f}",
    ]
    if report["agreement"] is not None:
        lines.append(f"comes to the same in {report['agreement']:.1%}")
    lines.append(
        f"{report['speed_ratio']:.2f} times as fast as fp32, on {report[many]:,} {many} alone"
    )
    return "\n".join(lines)
