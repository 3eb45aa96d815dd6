"""No model folder, whatever is in it, runs code, leaves its folder, crashes, hangs or bursts.

Each case makes one folder hostile and answers once, in a process of its own (tests/judge.py). It is
refused with a typed error, or answers as the good folder does where what was changed does not
matter.
"""

from __future__ import annotations

import copy
import json
import math
import os
import pickle
import random
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from judge import CAN_FORK, CANARY, Judge, Verdict
from planted import PLANTS
from silmu import registry
from silmu.runtime import patterns

pytestmark = pytest.mark.skipif(not CAN_FORK, reason="the judge needs os.fork")

MODELS = Path(__file__).parent / "models"
SLOW = 10.0
REFUSED, SAME, EITHER = "refused", "the same answer", "refused or any answer"

QUESTION = {"question": "who is happy ?", "context": "the man is happy . the dog is sad ."}
GREEDY = {"max_new_tokens": 3, "do_sample": False}
CHAT = [{"role": "user", "content": "hello"}]
JOBS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "bert-sequence": ("text-classification", "i am happy today", {"top_k": None}),
    "bert-sharded": ("text-classification", "i am happy today", {"top_k": None}),
    "bert-qa": ("question-answering", QUESTION, {}),
    "gpt2-lm": ("text-generation", "hello there", GREEDY),
    "gpt2-chat": ("text-generation", CHAT, GREEDY),
    "gpt2-sequence": ("text-classification", "hello there", {"top_k": None}),
}

Change = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Case:
    """A folder of tests/models, what is done to it, and what must come of it."""

    name: str
    model: str
    change: Change
    expected: str
    words: str = ""


def refused(name: str, change: Change, words: str = "", model: str = "bert-sequence") -> Case:
    return Case(name, model, change, REFUSED, words)


def same(name: str, change: Change, model: str = "bert-sequence") -> Case:
    return Case(name, model, change, SAME)


def either(name: str, change: Change, model: str = "bert-sequence") -> Case:
    return Case(name, model, change, EITHER)


# ── what is done to files ──────────────────────────────────────────────────────────────────────


def write(name: str, content: bytes | str) -> Change:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder, outside: (folder / name).write_bytes(data)


def edit(name: str, change: Callable[[dict[str, Any]], object]) -> Change:
    """Changes the object that a JSON file holds, in place or by what `change` gives."""

    def apply(folder: Path, outside: Path) -> None:
        path = folder / name
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        changed = change(content)
        path.write_text(json.dumps(content if not isinstance(changed, dict) else changed))

    return apply


def put(name: str, *keys: str | int, value: Any) -> Change:
    """Sets one value, however deep."""

    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = copy.deepcopy(value)

    return edit(name, change)


def replace(name: str, old: str, new: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        text = (folder / name).read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old}"
        (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")

    return apply


def remove(*names: str) -> Change:
    return lambda folder, outside: [(folder / name).unlink() for name in names]


def both(*changes: Change) -> Change:
    return lambda folder, outside: [change(folder, outside) for change in changes]


def truncate(name: str, part: float) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        path = folder / name
        os.truncate(path, int(path.stat().st_size * part))

    return apply


def flip(name: str, seed: int) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        chance = random.Random(f"{name} {seed}")
        data = bytearray((folder / name).read_bytes())
        for _ in range(20):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        (folder / name).write_bytes(data)

    return apply


def grow(name: str, size: int) -> Change:
    """A hole of `size` bytes at the end, which takes no room on the disk."""
    return lambda folder, outside: os.truncate(folder / name, size)


def link_out(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        shutil.move(folder / name, outside / name)
        (folder / name).symlink_to(outside / name)

    return apply


def link_loop(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(folder / name)

    return apply


def link_inside(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).rename(folder / f"real-{name}")
        (folder / name).symlink_to(f"real-{name}")

    return apply


def link_to(name: str, target: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(target)

    return apply


def link_hard(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        os.link(folder / name, folder / f"twin-{name}")

    return apply


def make_folder(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return apply


def make_fifo(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return apply


def make_socket(name: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        (folder / name).unlink()
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket may have a hundred characters
        try:
            with socket.socket(socket.AF_UNIX) as one:
                one.bind(name)
        finally:
            os.chdir(here)

    return apply


CONFIG, TOKENS, SETTINGS, ROLES = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
)
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
DEEP = '{"a":' * 10**5 + "1" + "}" * 10**5


def file_cases() -> Iterator[Case]:
    """Every file of a good folder, spoilt in every way that a file can be."""
    for name in (CONFIG, TOKENS, SETTINGS, ROLES, WEIGHTS):
        needed = name not in (TOKENS, SETTINGS, ROLES)  # vocab.txt says what tokens there are
        missing = remove(name)
        yield refused(f"{name}-missing", missing) if needed else same(f"{name}-missing", missing)
        yield refused(f"{name}-empty", write(name, ""))
        for part in (0.01, 0.5, 0.99):
            yield refused(f"{name}-truncated-to-{part}", truncate(name, part))
        for seed in range(5):
            yield either(f"{name}-flipped-{seed}", flip(name, seed))
        yield refused(f"{name}-huge", grow(name, 1 << 40))
        yield refused(f"{name}-grown", grow(name, 3 << 20))
        yield refused(f"{name}-link-out", link_out(name), "leads out")
        yield refused(f"{name}-link-to-device", link_to(name, "/dev/zero"))
        yield refused(f"{name}-link-to-process", link_to(name, "/proc/self/environ"))
        yield refused(f"{name}-link-to-nothing", link_to(name, "nowhere"))
        yield refused(f"{name}-link-loop", link_loop(name))
        yield same(f"{name}-link-inside", link_inside(name))
        yield same(f"{name}-hard-link", link_hard(name))
        yield refused(f"{name}-folder", make_folder(name), "regular")
        yield refused(f"{name}-fifo", make_fifo(name), "regular")
        yield refused(f"{name}-socket", make_socket(name), "regular")
        if name != WEIGHTS:
            yield refused(f"{name}-not-utf8", write(name, b'{"a": "\xff\xfe"}'))
            yield refused(f"{name}-utf16", write(name, '{"a": 1}'.encode("utf-16")))
            yield refused(f"{name}-byte-order-mark", write(name, b"\xef\xbb\xbf{}"))
            yield refused(f"{name}-deep", write(name, DEEP))
            yield refused(f"{name}-deep-list", write(name, "[" * 10**5))
            # Quotes that a matcher could pair anew from each of them.
            yield refused(f"{name}-quotes", write(name, '"' + '\\"' * 10**6))
            for kind, text in (
                *(("list", "[]"), ("number", "7"), ("string", '"x"'), ("null", "null")),
                *(("pickle", pickle.dumps({"a": 1}).decode("latin-1")), ("yaml", "!!python/x []")),
            ):
                yield refused(f"{name}-{kind}", write(name, text))
        if name in (CONFIG, SETTINGS, ROLES):
            for kind, pair in (
                *(("nan", '"x": NaN'), ("infinity", '"x": -Infinity'), ("overflow", '"x": 1e400')),
                *(("twice", '"x": 1, "x": 1'), ("digits", '"x": ' + "9" * 10**5)),
                *(("long-fraction", '"x": 0.' + "1" * 10**5), ("half-pair", '"x": "\\ud800"')),
                *(("half-key", '"\\uDC00": 1'), ("comma", '"x": 1,, "y": 2'), ("nul", '"x": "\0"')),
            ):
                yield refused(f"{name}-{kind}", replace(name, "{", "{" + pair + ","))
    unread = "vocab.txt"
    for kind, change in (
        *(
            ("fifo", make_fifo(unread)),
            ("link-out", link_out(unread)),
            ("empty", write(unread, "")),
        ),
    ):
        yield same(f"{unread}-{kind}", change)


# ── formats that are never read ────────────────────────────────────────────────────────────────


class Bomb:
    """Unpickled, it makes a file that the judge sees."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.place),)


def plant_pickles(*names: str) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        import numpy as np

        bomb = Bomb(outside / "exploded")
        for name in names:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            if path.suffix in (".npy", ".npz"):
                with path.open("wb") as file:
                    np.save(file, np.array([bomb], dtype=object), allow_pickle=True)
            else:
                path.write_bytes(pickle.dumps(bomb))

    return apply


PICKLES = (
    *("pytorch_model.bin", "model.pt", "model.pth", "model.bin", "model.pkl", "model.pickle"),
    *("model.joblib", "model.npy", "model.npz", "model.ckpt", "last.ckpt", "adapter_model.bin"),
)
BESIDE = (
    *("optimizer.pt", "scheduler.pt", "rng_state.pth", "rng_state_0.pth", "training_args.bin"),
    *("tokenizer.pkl", "vocab.npy", "config.pkl", "scaler.pt", "tokenizer.model", "spiece.model"),
)
ARCHIVES = (
    *("model.keras", "model.h5", "tf_model.h5", "model.mar", "model.nemo", "model.gguf"),
    *("model.onnx", "flax_model.msgpack", "model.tflite"),
)
PY = (
    "import os, pathlib\n"
    "pathlib.Path(__file__).parent.parent.joinpath('outside', 'ran').mkdir()\n"
    "class X: pass\n"
)


def plant_code(config: dict[str, Any]) -> Change:
    """Python files under every name that could be imported, and a config that asks for them."""

    def apply(folder: Path, outside: Path) -> None:
        for name in (
            *("modeling_x.py", "__init__.py", "pipeline.py", "tokenization_x.py", "conftest.py"),
            *("sitecustomize.py", "numpy.py", "bert.py", "handler.py", "configuration_x.py"),
        ):
            (folder / name).write_text(PY)
        edit(CONFIG, lambda content: content.update(config))(folder, outside)
        edit(SETTINGS, lambda content: content.update(config))(folder, outside)

    return apply


def code_cases() -> Iterator[Case]:
    for name in PICKLES:
        change = both(remove(WEIGHTS), plant_pickles(name))
        yield refused(f"pickle-{name}", change, "can run code")
    for name in BESIDE:
        yield same(f"pickle-beside-{name}", plant_pickles(name))
    yield same("pickle-all-beside", plant_pickles(*PICKLES, *BESIDE, "checkpoint/optimizer.pt"))
    yield refused("pickle-as-safetensors", plant_pickles(WEIGHTS))
    yield refused("pickle-as-tokenizer", plant_pickles(TOKENS))
    for name in ARCHIVES:
        alone = both(remove(WEIGHTS, CONFIG, TOKENS), write(name, b"PK\3\4"))
        yield refused(f"archive-alone-{name}", alone, name)
        yield refused(f"archive-{name}", both(remove(WEIGHTS), write(name, b"PK\3\4")), name)
    for name, config in {
        "auto_map": {"auto_map": {"AutoModel": "modeling_x.X", "AutoTokenizer": ["t.X", None]}},
        "trust_remote_code": {"trust_remote_code": True},
        "custom_pipelines": {"custom_pipelines": {"text-classification": {"impl": "pipeline.X"}}},
        "class_path": {"_class_path": "os.system", "_target_": "os.system", "class_name": "X"},
        "nested": {"text_config": {"trust_remote_code": True, "auto_map": {"AutoModel": "x.X"}}},
        "quantization": {"quantization_config": {"trust_remote_code": True, "quant_method": "x"}},
        "attention": {"attn_implementation": "x/y:z", "_attn_implementation": "kernels/x"},
        "name": {"_name_or_path": "/etc/passwd", "name_or_path": "http://127.0.0.1:9/x"},
        "urls": {
            "url": "http://127.0.0.1:9/x",
            "tokenizer_file": "/etc/passwd",
            "base": "file:///x",
        },
        "tokenizer_class": {"tokenizer_class": "os.system", "processor_class": "modeling_x.X"},
        "dtype": {"torch_dtype": "__import__('os')", "dtype": "float32; x"},
        "dunder": {
            "__class__": "X",
            "__init__": "x",
            "__getattr__": 1,
            "to_dict": 7,
            "id2label ": 1,
        },
    }.items():
        yield same(f"code-{name}", plant_code(config))


# ── safetensors ────────────────────────────────────────────────────────────────────────────────


def pack(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def unpack(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def tensors(change: Callable[[dict[str, Any], bytes], bytes | None], name: str = WEIGHTS) -> Change:
    """Changes the header of a file of weights in place; what `change` gives is the new data."""

    def apply(folder: Path, outside: Path) -> None:
        header, data = unpack(folder / name)
        changed = change(header, data)
        (folder / name).write_bytes(pack(header, data if changed is None else changed))

    return apply


WORDS = "bert.embeddings.word_embeddings.weight"
BIAS = "classifier.bias"


def tensor(name: str, **values: Any) -> Change:
    return tensors(lambda header, data: header[name].update(values))


def with_value(name: str, index: int, raw: bytes) -> Change:
    """Overwrites four bytes of a tensor."""

    def change(header: dict[str, Any], data: bytes) -> bytes:
        at = header[name]["data_offsets"][0] + 4 * index
        return data[:at] + raw + data[at + 4 :]

    return tensors(change)


def retyped(name: str, dtype: str, width: int) -> Change:
    """The same tensor in another type, of so many bytes, with all offsets right."""

    def change(header: dict[str, Any], data: bytes) -> bytes:
        entry = header.pop(name)
        start, end = entry["data_offsets"]
        size = math.prod(entry["shape"]) * width
        for other in header.values():
            if "data_offsets" in other and other["data_offsets"][0] >= end:
                other["data_offsets"] = [o - (end - start) for o in other["data_offsets"]]
        rest = data[:start] + data[end:]
        header[name] = {
            **{"dtype": dtype, "shape": entry["shape"]},
            "data_offsets": [len(rest), len(rest) + size],
        }
        return rest + b"\0" * size

    return tensors(change)


def weights_cases() -> Iterator[Case]:
    for kind, raw in {
        "header-length-2-63": struct.pack("<Q", 1 << 63) + b"{}",
        "header-length-2-64": struct.pack("<Q", (1 << 64) - 1) + b"{}",
        "header-length-zero": struct.pack("<Q", 0),
        "header-beyond-the-end": struct.pack("<Q", 100) + b"{}",
        "seven-bytes": b"\0" * 7,
        "header-list": pack([]),
        "header-number": pack(7),
        "header-empty": pack({}),
        "header-not-json": pack(b"{]"),
        "header-not-utf8": pack(b'{"\xff": 1}'),
        "header-deep": pack(b'{"a":' * 10**5 + b"1" + b"}" * 10**5),
        "tensor-number": pack({"a": 7}),
        "tensor-without-type": pack({"a": {"shape": [1], "data_offsets": [0, 4]}}, b"0000"),
        "metadata-number": pack({"__metadata__": 7}),
        "metadata-nested": pack({"__metadata__": {"a": {"b": "c"}}}),
        "a-zip": b"PK\3\4" + b"\0" * 100,
        "million-tensors": pack(b"{" + b",".join(b'"%d":{}' % i for i in range(10**6)) + b"}", b""),
        "tensors-of-nothing": pack(
            {str(i): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(50_000)}
        ),
    }.items():
        yield refused(f"weights-{kind}", write(WEIGHTS, raw))
    yield refused("weights-trailing-bytes", tensors(lambda header, data: data + b"\0" * 8))
    yield refused("weights-data-missing", tensors(lambda header, data: data[:-4]))
    shape = [300, 32]
    for kind, values in {
        "overlap": {"data_offsets": [0, 300 * 32 * 4]},
        "negative-offset": {"data_offsets": [-4, 300 * 32 * 4 - 4]},
        "offsets-swapped": {"data_offsets": [4, 0]},
        "offset-2-63": {"data_offsets": [0, 1 << 63]},
        "offset-fraction": {"data_offsets": [0.5, 4]},
        "offsets-three": {"data_offsets": [0, 4, 8]},
        "offsets-text": {"data_offsets": "04"},
        "shape-overflow": {"shape": [1 << 32, 1 << 32, 1 << 32]},
        "shape-2-64-is-zero": {"shape": [1 << 33, 1 << 31]},
        "shape-negative": {"shape": [-300, -32]},
        "shape-text": {"shape": ["300", "32"]},
        "shape-flat": {"shape": [300 * 32]},
        "shape-turned": {"shape": shape[::-1]},
        "shape-null": {"shape": None},
        "shape-deep": {"shape": [1] * 10**5},
        "type-unknown": {"dtype": "F99"},
        "type-number": {"dtype": 7},
        "type-python": {"dtype": "O"},
        "type-int": {"dtype": "I32"},
        "type-unsigned": {"dtype": "U32"},
    }.items():
        yield refused(f"weights-{kind}", tensor(WORDS, **values))
    for dtype, width in (("I64", 8), ("I16", 2), ("I8", 1), ("U8", 1), ("BOOL", 1), ("F8_E4M3", 1)):
        yield refused(f"weights-retyped-{dtype}", retyped(WORDS, dtype, width), WORDS)
        yield refused(f"weights-small-retyped-{dtype}", retyped(BIAS, dtype, width), BIAS)
    for dtype, width in (("F64", 8), ("F16", 2), ("BF16", 2)):
        yield either(f"weights-retyped-{dtype}", retyped(WORDS, dtype, width))
    for kind, raw in {
        "nan": struct.pack("<f", math.nan),
        "infinity": struct.pack("<f", math.inf),
        "signalling-nan": b"\1\0\x80\x7f",
    }.items():
        yield refused(f"weights-{kind}", with_value(WORDS, 5, raw), "NaN")
        yield refused(f"weights-bias-{kind}", with_value(BIAS, 1, raw), "NaN")
    largest = struct.pack("<f", 3.4e38)
    yield refused(
        "weights-finite-but-too-large",
        both(*(with_value("classifier.weight", i, largest) for i in range(96))),
        "NaN",
    )
    yield refused("weights-tensor-missing", tensors(lambda h, d: _without(h, d, BIAS)), BIAS)
    yield refused("weights-head-missing", tensors(lambda h, d: _without(h, d, "classifier.weight")))
    for name in (
        "__class__",
        "../../x",
        "/etc/passwd",
        "__proto__",
        "",
        "\0",
        "a" * 10**5,
        "\ud7ff",
    ):
        entry = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
        yield either(
            f"weights-name-{name[:12]!r}", tensors(lambda h, d, n=name, e=entry: h.update({n: e}))
        )
    yield same(
        "weights-odd-type-unused", tensors(lambda h, d: _with(h, d, "x", "F8_E4M3", b"\0" * 8))
    )
    yield same(
        "weights-metadata", tensors(lambda h, d: h.update(__metadata__={"format": "pt; rm"}))
    )
    twice = b'"%s":{"dtype":"F32","shape":[300,32],"data_offsets":[0,38400]},' % WORDS.encode()
    yield refused("weights-name-twice", both(_insert_into_header(twice * 2)))
    # Consistent, and larger than any disk: the tensors are where the file has a hole.
    big = 1 << 24
    yield refused(
        "weights-terabyte",
        both(
            put(CONFIG, "vocab_size", value=big),
            put(CONFIG, "hidden_size", value=1 << 14),
            _sparse_words(big, 1 << 14),
        ),
    )


def _without(header: dict[str, Any], data: bytes, name: str) -> bytes:
    start, end = header.pop(name)["data_offsets"]
    for entry in header.values():
        if "data_offsets" in entry and entry["data_offsets"][0] >= end:
            entry["data_offsets"] = [offset - (end - start) for offset in entry["data_offsets"]]
    return data[:start] + data[end:]


def _with(header: dict[str, Any], data: bytes, name: str, dtype: str, raw: bytes) -> bytes:
    where = [len(data), len(data) + len(raw)]
    header[name] = {"dtype": dtype, "shape": [len(raw)], "data_offsets": where}
    return data + raw


def _insert_into_header(text: bytes) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        header, data = unpack(folder / WEIGHTS)
        raw = json.dumps(header).encode()
        (folder / WEIGHTS).write_bytes(pack(raw[:1] + text + raw[1:], data))

    return apply


def _sparse_words(rows: int, columns: int) -> Change:
    def apply(folder: Path, outside: Path) -> None:
        header, data = unpack(folder / WEIGHTS)
        data = _without(header, data, WORDS)
        size = rows * columns * 4
        header[WORDS] = {
            **{"dtype": "F32", "shape": [rows, columns]},
            "data_offsets": [len(data), len(data) + size],
        }
        raw = pack(header, data)
        (folder / WEIGHTS).write_bytes(raw)
        os.truncate(folder / WEIGHTS, len(raw) + size)

    return apply


def shard_cases() -> Iterator[Case]:
    first = "model-00001-of-00003.safetensors"
    names: dict[str, Any] = {
        "parent": "../outside/secret.json",
        "parent-safetensors": "../x.safetensors",
        "absolute": "/etc/passwd.safetensors",
        "drive": "C:/x.safetensors",
        "backslash": "..\\x.safetensors",
        "nul": "x\0.safetensors",
        "hidden-parent": "a/../../x.safetensors",
        "missing": "model-00009-of-00003.safetensors",
        "other-kind": "pytorch_model-00001-of-00003.bin",
        "long": "a" * 5000 + ".safetensors",
        "number": 7,
        "null": None,
        "list": [first],
        "object": {"a": first},
        "empty": "",
        "index-itself": INDEX,
    }
    for kind, value in names.items():
        change = edit(INDEX, lambda content, v=value: content["weight_map"].update(x=v))
        yield refused(f"shards-{kind}", change, model="bert-sharded")
    for kind, value in {"list": [], "null": None, "empty": {}, "number": 7, "text": first}.items():
        change = put(INDEX, "weight_map", value=value)
        yield refused(f"shards-map-{kind}", change, model="bert-sharded")
    yield refused("shards-one-missing", remove(first), model="bert-sharded")
    yield refused("shards-one-empty", write(first, ""), model="bert-sharded")
    yield refused("shards-link-out", link_out(first), "leads out", model="bert-sharded")
    yield refused("shards-index-deep", write(INDEX, DEEP), model="bert-sharded")
    yield refused("shards-index-huge", grow(INDEX, 1 << 40), model="bert-sharded")
    yield refused("shards-index-fifo", make_fifo(INDEX), model="bert-sharded")

    def repeat(folder: Path, outside: Path) -> None:
        shutil.copy(folder / first, folder / "again.safetensors")
        edit(INDEX, lambda content: content["weight_map"].update(x="again.safetensors"))(
            folder, outside
        )

    yield refused("shards-tensor-twice", repeat, "two files", model="bert-sharded")

    def many(content: dict[str, Any]) -> None:
        content["weight_map"].update({str(i): f"{i}.safetensors" for i in range(10**5)})

    yield refused("shards-many", edit(INDEX, many), model="bert-sharded")


# ── config.json ────────────────────────────────────────────────────────────────────────────────


def config_cases() -> Iterator[Case]:
    wrong: dict[str, tuple[Any, ...]] = {
        "vocab_size": (-1, 0, 1 << 40, "300", True, None, 299, 301, 300.0, [300], {"a": 1}),
        "hidden_size": (-32, 0, 10**9, 31, 64, "32", None),
        "num_attention_heads": (0, -4, 5, 7, 33, 10**6, "4", 4.0),
        "num_hidden_layers": (0, -1, 1, 3, 1000, 10**6, "2", True),
        "intermediate_size": (0, 41, 10**9, "40"),
        "max_position_embeddings": (0, 127, 129, 10**9, "128"),
        "type_vocab_size": (0, 1, 3, "2"),
        "layer_norm_eps": ("x", -1, True, [1e-12], {}),
        "hidden_act": ("x", 7, ["gelu"], {"a": 1}, "__import__('os')", "gelu" * 10**5),
        "position_embedding_type": ("relative_key", 7, [1]),
        "model_type": (
            "../../x",
            "__init__",
            "",
            7,
            None,
            ["bert"],
            {"a": 1},
            "bert\0",
            "_encoder",
        ),
        "architectures": ("BertModel", 7, {"a": 1}, [7], [None], [["x"]], ["x; rm -rf ~"]),
        "id2label": (
            *(["a", "b", "c"], "abc", 7, {}, {"0": "a"}, {"0": "a", "1": "b", "3": "c"}),
            *({"a": "x", "b": "y", "c": "z"}, {"0": "a", "1": "b", "2": ["c"]}),
            *({"-1": "a", "0": "b", "1": "c"}, {"0": "a", "00": "b", "1": "c", "2": "d"}),
            *({"0": "a", "1": "b", "2": "c", "3": "d"}, {str(i): "x" for i in range(20_000)}),
        ),
        "num_labels": (-1, 0, 2, 5, 10**9, "3", True, [3]),
        "problem_type": ("x", 7, ["regression"]),
        "task_specific_params": (7, "x", [1]),
    }
    for key, values in wrong.items():
        for i, value in enumerate(values):
            yield refused(f"config-{key}-{i}", put(CONFIG, key, value=value))
    for key in ("vocab_size", "hidden_size", "num_attention_heads", "model_type"):
        yield refused(f"config-{key}-absent", edit(CONFIG, lambda content, k=key: content.pop(k)))
        yield refused(
            f"config-{key}-overflow",
            replace(CONFIG, f'"{key}":', f'"unused": 1e400, "{key}":'),
        )
    # What disagrees is told, both sides of it.
    for key, value, told in (
        *(("vocab_size", 301, ("300", "301")), ("hidden_size", 64, ("32", "64"))),
        *(("num_labels", 5, ("5", "3")), ("num_hidden_layers", 1, ("1 layers", "layer.1"))),
    ):
        for words in told:
            yield refused(f"config-{key}-told-{words}", put(CONFIG, key, value=value), words)
    yield same("config-architectures-unknown", put(CONFIG, "architectures", value=["XForY"]))
    yield same("config-architectures-null", put(CONFIG, "architectures", value=None))
    nested: dict[str, Any] = {}
    for _ in range(50):
        nested = {"config": nested, "model_type": "bert", "text_config": "bert"}
    yield same("config-self-similar", put(CONFIG, "config", value=nested))
    yield refused("config-large-elsewhere", put(CONFIG, "x", value={"a": [1, {"b": 1 << 33}]}))
    yield same(
        "config-many-keys", edit(CONFIG, lambda c: c.update({f"k{i}": i for i in range(10**4)}))
    )
    for key, value in (
        *(("n_positions", 10**6), ("n_embd", 10**9), ("n_head", 3), ("n_layer", 10**6)),
        *(("n_inner", -1), ("activation_function", "x"), ("layer_norm_epsilon", "x")),
        *(("vocab_size", 10**6), ("scale_attn_weights", "false"), ("add_cross_attention", True)),
        *(("scale_attn_by_inverse_layer_idx", "x"), ("tie_word_embeddings", "no")),
    ):
        yield refused(f"config-gpt2-{key}", put(CONFIG, key, value=value), model="gpt2-lm")
    for i, value in enumerate(("x", [1], 1.5, True, {"a": 1}, 1 << 70)):
        change = put(CONFIG, "pad_token_id", value=value)
        yield refused(f"config-gpt2-pad-{i}", change, model="gpt2-sequence")
    for i, value in enumerate((-1, 10**6, "x", [[1]], {"a": 1}, True)):
        change = put(CONFIG, "eos_token_id", value=value)
        yield either(f"config-gpt2-eos-{i}", change, model="gpt2-lm")
    for i, value in enumerate(
        ("x", {"text-generation": 7}, {"text-generation": {"max_length": "x"}})
    ):
        change = put(CONFIG, "task_specific_params", value=value)
        yield either(f"config-gpt2-task-{i}", change, model="gpt2-lm")


# ── tokenizer files ────────────────────────────────────────────────────────────────────────────


def split(pattern: dict[str, str], behavior: str = "Isolated") -> dict[str, Any]:
    return {"type": "Split", "pattern": pattern, "behavior": behavior, "invert": False}


def swap(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Replace", "pattern": pattern, "content": content}


def several(kind: str, parts: list[Any]) -> dict[str, Any]:
    return {"type": "Sequence", kind: parts}


SLOW_PATTERNS = (
    *(r".*(?!b)\w{1,3}|.+?", r"b*\w(?:ab){2}[^b]{2}|b+?", r"(?:a|b)(a)+?\s+|(a)+?|\s{2,}"),
    *(
        r"(a+)+b",
        r"(a|a)*b",
        r"(a|aa)+$",
        r"(x+x+)+y",
        r"a*a*a*[bc]",
        r"a*[bc]|.",
        r"\s+$",
        r".*?x",
    ),
    *(
        r"(?:a{1,3})+",
        r"a{1,3}+",
        r"(?=a*b)a",
        r"(a)\1+",
        r"(?<n>a+)\g<n>",
        r"a{999}{999}",
        r"(a*)*",
    ),
    *(r"(((a{99}){99}){99})", r"(?:a|b*)c", r"(a?)*", r"(?:a|a){18}b", "a?" * 20 + "a" * 20),
    *(
        "(" * 300 + "a" + ")" * 300,
        r"a+(?!b)|.|a+",
        r"\X+",
        r"(?:\p{L}+\s?)+$",
        "a" * 30_000,
        "x*" * 99 + "y",
    ),
)
BROKEN_PATTERNS = ("[a", "(a", "a)", "*", r"\p{Nonsense}", "(?", "a{9999999}", "[z-a]", "\\")
EXTRA = {
    **{"content": "<x>", "single_word": False, "lstrip": False, "rstrip": False},
    **{"normalized": False, "special": True},
}


def tokenizer_cases() -> Iterator[Case]:
    def bert(*keys: str | int, value: Any) -> Change:
        return put(TOKENS, *keys, value=value)

    for i, pattern in enumerate(SLOW_PATTERNS):
        regex = {"Regex": pattern}
        yield refused(f"tokenizer-slow-split-{i}", bert("pre_tokenizer", value=split(regex)))
        yield refused(f"tokenizer-slow-replace-{i}", bert("normalizer", value=swap(regex, "")))
    for i, pattern in enumerate(BROKEN_PATTERNS):
        regex = {"Regex": pattern}
        yield refused(f"tokenizer-broken-split-{i}", bert("pre_tokenizer", value=split(regex)))
    garbage = {"type": "Precompiled", "precompiled_charsmap": "AAAA////" * 99}
    hidden = both(
        bert("normalizer", value=garbage),
        replace(TOKENS, "precompiled_charsmap", "\\u0070recompiled_charsmap"),
    )
    yield refused("tokenizer-charsmap-hidden", hidden, "claims")
    slow = split({"Regex": "(a+)+b"})
    deep = several("pretokenizers", [several("pretokenizers", [slow])])
    yield refused("tokenizer-slow-nested", bert("pre_tokenizer", value=deep), "repeats a repeat")
    empty = {"String": ""}
    many = [swap({"String": "a"}, "aa")] * 30
    for kind, value in {
        "replace-empty": swap(empty, "xx"),
        "replace-long": swap({"String": "a"}, "b" * 10**6),
        "replace-doubling": several("normalizers", many),
        "prepend-long": {"type": "Prepend", "prepend": "b" * 10**6},
        "charsmap-garbage": garbage,
        "charsmap-of-four-gigabytes": {
            "type": "Precompiled",
            "precompiled_charsmap": "/////wAAAAA=",
        },
        "charsmap-not-base64": {"type": "Precompiled", "precompiled_charsmap": "!"},
        "charsmap-short": {"type": "Precompiled", "precompiled_charsmap": ""},
        "unknown": {"type": "Evil"},
        "number": 7,
        "python": {"type": "Custom", "module": "os"},
        "parts": several("normalizers", [{"type": "NFC"}] * 10**4),
    }.items():
        yield refused(f"tokenizer-normalizer-{kind}", bert("normalizer", value=value))
    for kind, value in {
        "split-empty": split(empty),
        "unknown": {"type": "Evil"},
        "behavior": split({"String": " "}, "Evil"),
        "metaspace": {"type": "Metaspace", "replacement": "long", "prepend_scheme": "always"},
        "list": [],
    }.items():
        yield refused(f"tokenizer-pre-{kind}", bert("pre_tokenizer", value=value))
    for kind, (keys, value) in {
        "model-unknown": (("model", "type"), "Evil"),
        "model-null": (("model",), None),
        "model-list": (("model",), []),
        "vocab-negative": (("model", "vocab", "[UNK]"), -1),
        "vocab-2-32": (("model", "vocab", "[UNK]"), 1 << 32),
        "vocab-fraction": (("model", "vocab", "[UNK]"), 0.5),
        "vocab-text": (("model", "vocab", "[UNK]"), "1"),
        "vocab-beyond": (("model", "vocab", "beyond"), 300),
        "vocab-far-beyond": (("model", "vocab", "beyond"), (1 << 32) - 1),
        "vocab-list": (("model", "vocab"), ["a", "b"]),
        "vocab-empty": (("model", "vocab"), {}),
        "word-length": (("model", "max_input_chars_per_word"), 10**9),
        "word-length-negative": (("model", "max_input_chars_per_word"), -1),
        "unknown-token-number": (("model", "unk_token"), 7),
        "added-number": (("added_tokens",), 7),
        "added-huge-id": (("added_tokens",), [{**EXTRA, "id": (1 << 32) - 1}]),
        "added-beyond": (("added_tokens",), [{**EXTRA, "id": 300}]),
        "added-without-id": (("added_tokens",), [EXTRA]),
        "version": (("version",), 7),
        "version-future": (("version",), "9.0"),
        "truncation": (("truncation",), {"max_length": "x"}),
        "padding": (("padding",), 7),
        "post-unknown": (("post_processor",), {"type": "Evil"}),
        "post-token-unknown": (
            ("post_processor", "single"),
            [{"SpecialToken": {"id": "[NOPE]", "type_id": 0}}],
        ),
        "post-id-beyond": (("post_processor", "special_tokens", "[CLS]", "ids"), [300]),
        "post-id-far-beyond": (
            ("post_processor", "special_tokens", "[CLS]", "ids"),
            [(1 << 32) - 1],
        ),
        "post-type-beyond": (("post_processor", "single", 0, "SpecialToken", "type_id"), 9),
        "post-many-tokens": (
            ("post_processor", "special_tokens", "[CLS]"),
            {
                **{"id": "[CLS]", "ids": [2] * 10**5, "tokens": ["[CLS]"] * 10**5},
            },
        ),
    }.items():
        yield refused(f"tokenizer-{kind}", bert(*keys, value=value))
    window = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    padding = {
        **{"strategy": {"Fixed": 64}, "direction": "Left", "pad_to_multiple_of": None},
        **{"pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
    }
    yield same("tokenizer-truncation-inside", bert("truncation", value=window))
    yield same("tokenizer-padding-inside", bert("padding", value=padding))
    # In the vocabulary a name may be given twice, which only the JSON reader could tell.
    yield either("tokenizer-vocab-twice", replace(TOKENS, '"[PAD]": 0', '"[PAD]": 0, "[PAD]": 7'))
    yield either("tokenizer-vocab-same-id", bert("model", "vocab", "[UNK]", value=0))
    yield either("tokenizer-vocab-gaps", edit(TOKENS, lambda c: _thin(c["model"]["vocab"])))
    yield either("tokenizer-unknown-token", bert("model", "unk_token", value="[NOPE]"))
    yield either("tokenizer-post-none", bert("post_processor", value=None))
    yield either("tokenizer-post-empty", bert("post_processor", "single", value=[]))
    yield either("tokenizer-decoder", bert("decoder", value=swap({"Regex": "(a+)+b"}, "x" * 999)))
    empty_token = [{**EXTRA, "content": "", "id": 5}]
    yield either("tokenizer-added-empty", bert("added_tokens", value=empty_token))
    long_token = [{**EXTRA, "content": "x" * 10**6, "id": 5}]
    yield either("tokenizer-added-long", bert("added_tokens", value=long_token))
    for kind, (keys, value) in {
        "merges-unknown": (("model", "merges"), [["nope", "nope2"]]),
        "merges-one": (("model", "merges"), [["a"]]),
        "merges-text": (("model", "merges"), ["a"]),
        "merges-number": (("model", "merges"), 7),
        "dropout": (("model", "dropout"), 7.0),
        "prefix-number": (("model", "continuing_subword_prefix"), 7),
        "vocab-negative": (("model", "vocab", "a"), -7),
        "beyond": (("model", "vocab", "beyond"), 320),
    }.items():
        yield refused(f"tokenizer-bpe-{kind}", bert(*keys, value=value), model="gpt2-lm")
    unigram = {"type": "Unigram", "unk_id": 9, "vocab": [["a", 0.0]], "byte_fallback": False}
    yield refused("tokenizer-unigram-unknown", bert("model", value=unigram))
    yield refused("tokenizer-unigram-empty", bert("model", value={**unigram, "vocab": []}))
    yield refused(
        "tokenizer-unigram-score", bert("model", value={**unigram, "vocab": [["a", "x"]]})
    )


def _thin(vocabulary: dict[str, int]) -> None:
    for token in [token for token, i in vocabulary.items() if i > 9 and i % 2]:
        del vocabulary[token]


def settings_cases() -> Iterator[Case]:
    wrong: dict[str, tuple[Any, ...]] = {
        "model_max_length": ("x", -1, 0, 0.5, True, [128], {"a": 1}),
        "padding_side": ("up", 7, ["right"], True, {"a": 1}),
        "truncation_side": ("up", 7, ["left"]),
        "model_input_names": ("input_ids", 7, [7], {"a": 1}),
        "cls_token": (7, ["[CLS]"], {"content": 7}, {"a": 1}, True),
        "pad_token": (7, [], {"content": None}),
        "unk_token": (7.5,),
        "do_lower_case": ("x", 7, [True]),
        "mask_token": ([[]],),
        "chat_template": (7, ["x"], {"default": 7}, [{"name": "a"}], True, "x" * (2 << 20)),
    }
    for key, values in wrong.items():
        for i, value in enumerate(values):
            yield refused(f"settings-{key}-{i}", put(SETTINGS, key, value=value))
    for key, value in {
        "model_max_length": None,
        "added_tokens_decoder": {"x": 7},
        "extra_special_tokens": ["a"],
        "tokenizer_class": 7,
        "clean_up_tokenization_spaces": "x",
        "sp_model_kwargs": {"a": {"b": 1}},
        "name_or_path": "/etc/passwd",
        "tokenizer_file": "/etc/passwd",
        "special_tokens_map_file": "/etc/passwd",
    }.items():
        yield same(f"settings-{key}", put(SETTINGS, key, value=value))
    roles = put(ROLES, "cls_token", value=[7])
    yield refused("roles-wrong", both(roles, edit(SETTINGS, lambda c: c.pop("cls_token"))))
    yield either("settings-pad-unknown", put(SETTINGS, "pad_token", value="[NOPE]"))


TEMPLATES = (
    *("{{ 'a' * 10**9 }}", "{{ [0] * 10**9 }}", "{{ 9**9**9 }}", "{{ 'a'|center(10**9) }}"),
    *("{{ '%0999999999d' % 1 }}", "{{ '{:{}}'.format(1, 999999999) }}", "{{ lipsum(n=10**6) }}"),
    "{% set x = 'aaaaaaaa' %}" + "{% set x = x ~ x %}" * 60 + "{{ x }}",
    "{% set x = 'aaaaaaaa' %}" + "{% set x %}{{ x }}{{ x }}{% endset %}" * 60,
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 60 + "{{ x }}",
    "{% set x = (1,) %}" + "{% set x = (x, x) %}" * 60 + "{{ {x: 1} }}",
    "{% set x = [1] %}{% set y = [1] %}"
    + "{% set x = [x, x] %}{% set y = [y, y] %}" * 60
    + "{{ x == y }}",
    *("{% for i in range(10**9) %}x{% endfor %}", "{{ range(100000)|join('a' * 100000) }}"),
    "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% for j in range(100000) if false %}{% endfor %}{% endfor %}",
    "{% for i in range(100000) %}{% set x = range(100000)|list %}{% endfor %}",
    "{% set y %}{% for i in range(100000) %}" + "x" * 100_000 + "{% endfor %}{% endset %}",
    *("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "{{ 1.5|round(100000000, 'floor') }}"),
    *("{{ ['a']|map('center', 10**9)|list }}", "{{ ('a' * 99999).replace('a', 'b' * 99999) }}"),
    *("{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ messages.__init__.__globals__ }}"),
    *("{{ cycler.__init__.__globals__.os.popen('id').read() }}", "{% include '/etc/passwd' %}"),
    *("{% import 'os' as os %}", "{{ messages.append(1) }}", "{{ lipsum.__globals__['os'] }}"),
    *("{{ __turn__.__self__._end }}", "{{ (''|attr('__class__')).x }}", "{{ 1/0 }}", "{% for"),
    *("{% for a in messages %}" * 30 + "{% endfor %}" * 30, "{{ " + "(" * 10**5 + "1 }}"),
    *("{{ " + "not " * 50_000 + "1 }}", "{% if 1 %}" * 2000, "{{ raise_exception('no') }}"),
)
SETTINGS_OF_GENERATION: dict[str, tuple[Any, ...]] = {
    "eos_token_id": ("x", [["a"]], -5, 10**9, {"a": 1}),
    "pad_token_id": ("x", [1], 10**9),
    "max_length": ("x", -1, [20], True),
    "max_new_tokens": ("x", -1, 1.5),
    "temperature": ("x", -1.0, [1]),
    "top_k": ("x", -1, [1]),
    "top_p": ("x", 7.0, [1]),
    "num_beams": ("x", 0, -1, 10**9),
    "num_return_sequences": ("x", 0, 10**9),
    "do_sample": ("x", 7),
    "repetition_penalty": ("x", 0, -1.0),
    "no_repeat_ngram_size": ("x", -1),
    "bad_words_ids": ("x", [7], [[]], [["a"]], [[10**9]]),
    "forced_eos_token_id": ("x", 10**9),
    "suppress_tokens": ("x", ["a"], [10**9]),
    "stop_strings": (7, [7], {"a": 1}),
    "sequence_bias": (7, {"a": 1}, [[["x"], 1]]),
    "__class__": ("X",),
    "cache_implementation": ("../../x", 7),
    "custom_generate": ("/etc/passwd",),
}


def generation_cases() -> Iterator[Case]:
    """Those that need the pipeline `text-generation`."""
    for i, template in enumerate(TEMPLATES):
        change = both(write("chat_template.jinja", template))
        yield refused(f"template-{i}", change, model="gpt2-chat")
    name = "generation_config.json"
    for key, values in SETTINGS_OF_GENERATION.items():
        for i, value in enumerate(values):
            yield either(f"generation-{key}-{i}", put(name, key, value=value), model="gpt2-lm")
    for kind, change in {
        **{"empty": write(name, ""), "list": write(name, "[]"), "deep": write(name, DEEP)},
        **{"huge": grow(name, 1 << 40), "fifo": make_fifo(name), "link-out": link_out(name)},
        **{
            "nan": replace(name, "{", '{"x": NaN,'),
            "twice": replace(name, "{", '{"x": 1, "x": 1,'),
        },
    }.items():
        yield refused(f"generation-{kind}", change, model="gpt2-lm")
    yield same("generation-missing", remove(name), model="gpt2-lm")


def other_cases() -> Iterator[Case]:
    yield same("untouched", lambda folder, outside: None)
    yield refused("empty-folder", lambda folder, outside: [p.unlink() for p in folder.iterdir()])
    yield refused("qa-head-missing", put(CONFIG, "x", value=1 << 33), model="bert-qa")
    yield refused("qa-tokenizer-panic", write(TOKENS, "{}"), model="bert-qa")
    yield refused("qa-weights-empty", write(WEIGHTS, ""), model="bert-qa")
    yield same("qa-untouched", lambda folder, outside: None, model="bert-qa")
    yield same("many-files", lambda f, o: [(f / f"{i}.txt").touch() for i in range(2000)])
    yield same("name-of-newline", lambda f, o: (f / "a\nb.json").write_text("{}"))


def all_cases() -> Iterator[Case]:
    for cases in (
        *(other_cases, file_cases, code_cases, weights_cases, shard_cases, config_cases),
        *(tokenizer_cases, settings_cases, generation_cases),
    ):
        for case in cases():
            if JOBS[case.model][0] in registry.pipelines():
                yield case


CASES = list(all_cases())


# ── the tests ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as one:
        yield one


@pytest.fixture(scope="module")
def good() -> dict[str, Verdict]:
    return {}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.json").write_text(json.dumps({"secret": CANARY, "model_type": CANARY}))
    return folder


def put_to(judge: Judge, model: str, folder: Path, outside: Path | None = None) -> Verdict:
    task, inputs, parameters = JOBS[model]
    return judge(
        "judge:answer",
        folder=folder,
        outside=outside,
        task=task,
        inputs=inputs,
        parameters=parameters,
    )


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in CASES])
def test_a_hostile_folder_is_refused_or_answers_as_before(
    case: Case, judge: Judge, good: dict[str, Verdict], tmp_path: Path, outside: Path
) -> None:
    if case.model not in good:
        good[case.model] = put_to(judge, case.model, MODELS / case.model)
    assert good[case.model].outcome == "ok", f"the good folder: {good[case.model]}"
    folder = tmp_path / "model"
    shutil.copytree(MODELS / case.model, folder)
    case.change(folder, outside)

    verdict = put_to(judge, case.model, folder, outside)

    assert verdict.outcome in ("ok", "typed error"), verdict
    assert verdict.seconds < SLOW
    assert len(verdict.message) < 4000
    if case.expected == REFUSED:
        assert verdict.outcome == "typed error", verdict
        assert case.words in verdict.message, verdict
    elif case.expected == SAME:
        assert verdict.outcome == "ok", verdict
        assert verdict.answer == good[case.model].answer


def test_there_are_enough_cases_and_none_has_the_name_of_another() -> None:
    assert len(CASES) >= 150
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize(("plant", "outcome"), PLANTS.items())
def test_the_judge_sees_what_is_planted(
    plant: str, outcome: str, judge: Judge, tmp_path: Path, outside: Path
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "code_of_its_own.py").write_text("")
    (folder / "link.json").symlink_to(outside / "secret.json")

    verdict = judge(
        f"planted:{plant}",
        folder=folder,
        outside=outside,
        **({"seconds": 1.5} if outcome == "timeout" else {}),
    )

    assert verdict.outcome == outcome, verdict


def test_the_judge_answers_after_every_kind_of_end(judge: Judge, tmp_path: Path) -> None:
    for plant in ("crashes", "leaves", "untyped_error", "refuses"):
        judge(f"planted:{plant}", folder=tmp_path)
    assert put_to(judge, "bert-sequence", MODELS / "bert-sequence").outcome == "ok"


# The patterns of families that many use, as their tokenizer files have them.
WELL_KNOWN = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "llama3-cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "clip": r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "deepseek3": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
    r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "falcon": r"[0-9][0-9][0-9]",
    "spaces": r" {2,}",
    "blanks": r"\s+",
    "digits": r"\p{N}{1,3}",
    "kanji": r"[一-龥぀-ゟ゠-ヿ]+",
}


@pytest.mark.parametrize("name", WELL_KNOWN)
def test_well_known_patterns_are_allowed_and_quick(name: str, judge: Judge, tmp_path: Path) -> None:
    patterns.check(WELL_KNOWN[name])
    for text in (" ", "a", "A", "1", "!", "\n", "한", "a ", " \n", "aA", "'s", " x", "..\n"):
        verdict = judge("planted:splits", pattern=WELL_KNOWN[name], text=text, seconds=5)
        assert verdict.outcome == "ok", (text, verdict)
