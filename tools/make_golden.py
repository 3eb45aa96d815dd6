"""Records what transformers' pipelines answer on the tiny models: the golden files of tests/golden.

    python -m tools.make_golden [task ...]          such as fill-mask, or logits/bert

Run it where torch and transformers 4.57.6 are installed, then where 5.x is; it writes
tests/golden/<transformers version>/<task>.json, for 5.x only what differs from 4.57.6. What is
asked stands in golden_cases, a file a task. Nothing is downloaded and nothing is sampled.

A case whose answer hangs on a near-tie is no use as a reference. So each answer is made three
times, twice with the weights slightly disturbed; and at each greedy step the best token must lead
by MARGIN. A case that fails either is reported, and nothing is written.
"""

from __future__ import annotations

import copy
import importlib
import json
import math
import os
import platform
import re
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"

import numpy as np
import tokenizers
import torch
import transformers
from tools.golden_cases import Case
from transformers import AutoConfig, AutoTokenizer, GenerationConfig, pipeline
from transformers.generation.logits_process import LogitsProcessorList
from transformers.generation.utils import GenerationMixin
from transformers.pipelines.text_generation import ReturnType
from transformers.pipelines.token_classification import AggregationStrategy

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "tests" / "models"
GOLDEN = ROOT / "tests" / "golden"
VERSION = transformers.__version__
IS_V5 = int(VERSION.partition(".")[0]) >= 5
REFERENCE = "4.57.6"
MARGIN = 1e-3
DISTURBANCE = 3e-5  # relative, of every weight
DIGITS = 7

# What transformers 5 no longer has: cases that use it are left out there, and said so.
REMOVED_IN_5 = {
    "return_all_scores": "removed from text-classification; it would go to the tokenizer",
    "grouped_entities": "removed from token-classification, as a TypeError",
    "ignore_subwords": "removed from token-classification, as a TypeError",
    "multi_class": "removed from zero-shot-classification, and ignored",
    "framework": "pipeline() has no framework argument",
    "torch_dtype": "renamed dtype in 4.56",
}

TASKS: dict[str, Callable[[], list[Case]]] = {
    path.stem.replace("_", "-"): importlib.import_module(f"tools.golden_cases.{path.stem}").cases
    for path in sorted((ROOT / "tools" / "golden_cases").glob("[!_]*.py"))
}

# --------------------------------------------------------------------------------------------
# From data to Python objects, and back
# --------------------------------------------------------------------------------------------


class Rows(torch.utils.data.Dataset):
    """A data set of plain rows, for KeyDataset."""

    def __init__(self, rows: list) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Any:
        return self.rows[index]


def _key_dataset(value: dict) -> Any:
    from transformers.pipelines.pt_utils import KeyDataset

    return KeyDataset(Rows(value["rows"]), value["key"])


def _squad_example(value: dict) -> Any:
    from transformers import SquadExample

    return SquadExample(None, value["question"], value["context"], None, None, None)


def _tokenizer(value: dict) -> Any:
    settings = {key: item for key, item in value.items() if key != "model"}
    return AutoTokenizer.from_pretrained(MODELS / value["model"], **settings)


DECODERS: dict[str, Callable[[Any], Any]] = {
    "$generator": lambda value: (item for item in value),
    "$tuple": tuple,
    "$key_dataset": _key_dataset,
    "$squad_example": _squad_example,
    "$tokenizer": _tokenizer,
    "$generation_config": lambda value: GenerationConfig(**value),
    "$return_type": lambda value: ReturnType[value],
    "$strategy": lambda value: AggregationStrategy[value],
    "$model": lambda value: str(MODELS / value),
    "$path": lambda value: MODELS / value,
    "$device": torch.device,
    "$dtype": lambda value: getattr(torch, value),
}


def decode(value: Any) -> Any:
    """Builds the objects that the case describes as data."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if len(value) == 1:
            ((key, inner),) = value.items()
            if key in DECODERS:
                return DECODERS[key](decode(inner))
        return {key: decode(item) for key, item in value.items()}
    return copy.deepcopy(value)


def rounded(number: float) -> Any:
    if not math.isfinite(number):
        return {"$float": str(number)}
    return float(f"{number:.{DIGITS}g}")


def encode(value: Any) -> Any:
    """Writes an answer as data."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return rounded(value)
    if isinstance(value, np.generic):
        return encode(value.item())
    if isinstance(value, torch.Tensor):
        return {"$tensor": encode(value.float().tolist())}
    if isinstance(value, np.ndarray):
        return {"$array": encode(value.tolist())}
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [encode(item) for item in value]}
    if isinstance(value, Iterator) or hasattr(value, "loader"):
        return {"$iterator": [encode(item) for item in value]}
    raise TypeError(f"no encoding for {type(value)}")


def described(error: BaseException) -> dict[str, str]:
    message = str(error).replace(str(ROOT) + os.sep, "").replace(str(Path(sys.prefix)), "<env>")
    message = re.sub(r"0x[0-9a-f]{6,}", "0x", message)
    if "Traceback" in message:  # what pipeline() gives when no class can load the folder
        message = message.partition("\n")[0]
    if len(message) > 300:
        message = message[:300] + "…"
    return {"type": type(error).__name__, "message": message}


# --------------------------------------------------------------------------------------------
# Running a case
# --------------------------------------------------------------------------------------------


class Sampled(Exception):
    """The case samples, and so has no answer to record."""


class LeadRecorder:
    """A logits processor that notes how far the best token leads, at each greedy step."""

    def __init__(self) -> None:
        self.least = math.inf

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        best = scores.float().topk(2, dim=-1).values
        lead = (best[:, 0] - best[:, 1]).min().item()
        if not math.isnan(lead):
            self.least = min(self.least, lead)
        return scores


LEAD = LeadRecorder()
_get_logits_processor = GenerationMixin._get_logits_processor


def _with_lead(self: Any, generation_config: Any, *args: Any, **kwargs: Any) -> LogitsProcessorList:
    processors = _get_logits_processor(self, generation_config, *args, **kwargs)
    if generation_config.do_sample:
        raise Sampled
    if generation_config.num_beams == 1:
        processors.append(LEAD)
    return processors


GenerationMixin._get_logits_processor = _with_lead


def disturb(model: torch.nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator) * DISTURBANCE
            weight.mul_((1 + noise).to(weight.dtype))


def answer(case: Case, disturbed: int | None = None) -> dict[str, Any]:
    """Gives the output or the error of one case."""
    torch.manual_seed(0)
    try:
        init = decode(case["init"])
        if "init_args" in case:
            built = pipeline(*decode(case["init_args"]), **init)
        else:
            built = pipeline(case["task"], model=str(MODELS / case["model"]), **init)
        if disturbed is not None:
            disturb(built.model, disturbed)
        for call in case.get("before", []):
            built(*decode(call["args"]), **decode(call["kwargs"]))
        if case["task"] is None and not case["args"]:
            return {"output": type(built).__name__}
        called = getattr(built, case.get("method", "__call__"))
        return {"output": encode(called(*decode(case["args"]), **decode(case["kwargs"])))}
    except Sampled:
        raise
    except Exception as error:
        return {"error": described(error)}


def alike(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, float) and isinstance(other, (float, int)):
        return math.isclose(one, other, rel_tol=0.2, abs_tol=0.05)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return one == other


def weakness(case: Case, result: dict[str, Any], lead: float) -> str | None:
    """Says why the answer hangs on a hair, if it does."""
    if "error" in result:
        return None
    if lead <= MARGIN:
        return f"the best token leads by only {lead:.2g}"
    if "float16" in str(case):  # half precision is itself a disturbance
        return None
    for seed in (1, 2):
        other = answer(case, disturbed=seed)
        if not alike(result.get("output"), other.get("output")):
            return "a slight change of the weights changes the answer"
    return None


# --------------------------------------------------------------------------------------------
# Raw outputs of the networks
# --------------------------------------------------------------------------------------------


def batches(config: Any, seed: int) -> dict[str, dict[str, list]]:
    """Gives a few batches of random token ids: whole, padded right, padded left."""
    generator = np.random.default_rng(seed)
    lengths, width = [6, 3, 5], 6
    pad = config.pad_token_id if config.pad_token_id is not None else 0
    low, high = (5, config.vocab_size) if config.model_type != "gpt2" else (0, 319)
    rows = [generator.integers(low, high, length).tolist() for length in lengths]
    if config.model_type == "bart":  # it labels a text by the token that ends it
        rows = [[*row[:-1], config.eos_token_id] for row in rows]
    types_ = [[0] * (length // 2) + [1] * (length - length // 2) for length in lengths]

    def padded(values: list[list[int]], fill: int, left: bool) -> list[list[int]]:
        gaps = [[fill] * (width - len(row)) for row in values]
        return [gap + row if left else row + gap for row, gap in zip(values, gaps, strict=True)]

    ones = [[1] * length for length in lengths]
    whole: dict[str, list] = {"input_ids": rows[:1]}
    right: dict[str, list] = {"input_ids": padded(rows, pad, False)}
    left: dict[str, list] = {"input_ids": padded(rows, pad, True)}
    found = {"whole": whole, "right": right, "left": left}
    right["attention_mask"] = padded(ones, 0, False)
    left["attention_mask"] = padded(ones, 0, True)
    if getattr(config, "type_vocab_size", 0) > 1:
        found["typed"] = right | {"token_type_ids": padded(types_, 0, False)}
        found["typed-left"] = left | {"token_type_ids": padded(types_, 0, True)}
    if config.model_type == "gpt2":
        found["left-positions"] = left | {
            "position_ids": [[max(0, at - 6 + n) for at in range(6)] for n in lengths]
        }
    return found


def masked(value: torch.Tensor, mask: list[list[int]] | None) -> Any:
    """Leaves out what stands at padding: nobody may depend on it."""
    data = encode(value.tolist())
    if mask is None or value.ndim < 2 or list(value.shape[:2]) != [len(mask), len(mask[0])]:
        return data
    return [
        [item if kept else None for item, kept in zip(row, keeps, strict=True)]
        for row, keeps in zip(data, mask, strict=True)
    ]


def families() -> list[str]:
    """Every architecture that has a tiny model."""
    configs = [json.loads(path.read_text("utf-8")) for path in MODELS.glob("*/config.json")]
    return sorted({config["model_type"] for config in configs})


def logits_cases(family: str) -> list[dict[str, Any]]:
    cases = []
    for folder in sorted(path for path in MODELS.iterdir() if (path / "config.json").is_file()):
        told = json.loads((folder / "config.json").read_text("utf-8"))
        if told["model_type"] != family:  # of networks of our own the library knows nothing
            continue
        config = AutoConfig.from_pretrained(folder)
        kind = getattr(transformers, config.architectures[0])
        model = kind.from_pretrained(folder, dtype=torch.float32).eval()
        for name, batch in batches(config, seed=zlib.crc32(folder.name.encode())).items():
            with torch.no_grad():
                out = model(**{key: torch.tensor(value) for key, value in batch.items()})
            case: dict[str, Any] = {"id": f"logits/{folder.name}/{name}", "model": folder.name}
            case["inputs"] = batch
            outputs = {}
            for key, value in out.items():
                # No task reads the pooled vector, and of a model saved without it it is random.
                # What an encoder gives to its decoder is seen in what the decoder gives.
                unread = ("pooler_output", "encoder_last_hidden_state")
                if not isinstance(value, torch.Tensor) or key in unread:
                    continue
                if value.ndim == 3 and value.shape[-1] > 64:  # a vocabulary: every eighth column
                    case["columns"] = list(range(0, value.shape[-1], 8))
                    value = value[..., case["columns"]]
                outputs[key] = masked(value, batch.get("attention_mask"))
            case["outputs"] = outputs
            cases.append(case)
    return cases


# --------------------------------------------------------------------------------------------
# Writing
# --------------------------------------------------------------------------------------------


def header(task: str, **more: Any) -> dict[str, Any]:
    return {
        "task": task,
        "command": f"python -m tools.make_golden {task}",
        "transformers": VERSION,
        "torch": torch.__version__,
        "tokenizers": tokenizers.__version__,
        "python": platform.python_version(),
        **more,
    }


def write(task: str, head: dict[str, Any], cases: list[Case]) -> None:
    """Writes one case a line, so that a change of one case is a change of one line."""
    path = GOLDEN / VERSION / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    one = {"ensure_ascii": False, "sort_keys": True, "separators": (",", ":")}
    lines = ",\n".join(json.dumps(case, **one) for case in cases)
    text = f'{{"header":{json.dumps(head, **one)},\n"cases":[\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {len(cases)} cases, {len(text.encode()) / 1000:.0f} KB")


def kept(cases: list[Case], skipped: dict[str, dict]) -> Iterator[Case]:
    """Leaves out, in version 5, what version 5 no longer has."""
    for case in cases:
        used = (case["init"].keys() | case["kwargs"].keys()) & REMOVED_IN_5.keys()
        if not (used and IS_V5):
            yield case
            continue
        for key in sorted(used):
            entry = skipped.setdefault(key, {"reason": REMOVED_IN_5[key], "cases": []})
            entry["cases"].append(case["id"])


def agree(one: Any, other: Any) -> bool:
    """Says whether two versions answer alike; of errors only the type counts."""
    if isinstance(one, float) and isinstance(other, (float, int)):
        return math.isclose(one, other, rel_tol=1e-4, abs_tol=1e-5)
    if isinstance(one, dict) and isinstance(other, dict):
        keys = {"type"} if one.keys() == {"type", "message"} else one.keys()
        return one.keys() == other.keys() and all(agree(one[key], other[key]) for key in keys)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(agree, one, other))
    return one == other


def differing(task: str, cases: list[Case], head: dict[str, Any]) -> list[Case]:
    """Keeps the cases that the reference version answers otherwise; the header names the rest."""
    path = GOLDEN / REFERENCE / f"{task}.json"
    known = {case["id"]: case for case in json.loads(path.read_text(encoding="utf-8"))["cases"]}
    found: list[Case] = []
    same: list[str] = []
    for case in cases:
        answers = [
            {key: each[key] for key in ("output", "error", "outputs") if key in each}
            for each in (case, known[case["id"]])
        ]
        if agree(*answers):
            same.append(case["id"])
        else:
            found.append(case)
    head[f"same as {REFERENCE}"] = same
    return found


def main() -> int:
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    wanted = sys.argv[1:] or [*TASKS, *(f"logits/{family}" for family in families())]
    weak: list[str] = []
    for task in wanted:
        if task == "question-answering" and IS_V5:
            print("question-answering: not in transformers 5.3 and later")
            continue
        skipped: dict[str, dict] = {}
        logits, _, family = task.rpartition("/")
        cases = logits_cases(family) if logits else []
        for case in [] if logits else kept(TASKS[task](), skipped):
            LEAD.least = math.inf
            try:
                result = answer(case)
            except Sampled:
                if not IS_V5:
                    raise
                entry = {"reason": "version 5 samples here", "cases": []}
                skipped.setdefault("sampled", entry)["cases"].append(case["id"])
                continue
            reason = weakness(case, result, LEAD.least)
            if reason:
                weak.append(f"{case['id']}: {reason}")
            cases.append(case | result)
        head = header(task, skipped=skipped) if IS_V5 else header(task)
        if not any(line.startswith(f"{task}/") for line in weak):
            write(task, head, cases if VERSION == REFERENCE else differing(task, cases, head))
    print("\n".join(weak))
    return bool(weak)


if __name__ == "__main__":
    sys.exit(main())
