"""silmu beside transformers 4.57.6 on well-known models of the hub: do they say the same?

    python benchmarks/parity_hub.py --reference OTHER/bin/python
    python benchmarks/parity_hub.py --reference ... --models openai-community/gpt2 ./my-model

Run it with a Python that has silmu; `--reference` is one that has transformers 4.57.6 and torch.
For each model both answer a few texts, each library in a process of its own, in fp32 and with the
same number of threads. A row says how many answers are equal, how far numbers are apart at most
(beside 1 or the reference's number, whichever is larger), the time of one pass over the texts, and
the peak of memory. A model that cannot be had or compared is a row with the reason. The table goes
to stdout, and with `--output FILE` as Markdown to FILE.md and as JSON to FILE.json.

In place of an id a folder may be given; its task is told by its config.json, that of an id which
is not listed here by `id=task`. The exit code is 1 where a comparison found a difference, 2 where
none was made. All models together are about 25 GB of download.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TOLERANCE = 1e-4
NEW_TOKENS = 20

MODELS: dict[str, str] = {
    "distilbert/distilbert-base-uncased-finetuned-sst-2-english": "text-classification",
    "cardiffnlp/twitter-roberta-base-sentiment-latest": "text-classification",
    "SamLowe/roberta-base-go_emotions": "text-classification",
    "nlptown/bert-base-multilingual-uncased-sentiment": "text-classification",
    "papluca/xlm-roberta-base-language-detection": "text-classification",
    "unitary/toxic-bert": "text-classification",
    "cross-encoder/ms-marco-MiniLM-L6-v2": "text-classification",
    "dslim/bert-base-NER": "token-classification",
    "dslim/distilbert-NER": "token-classification",
    "Davlan/bert-base-multilingual-cased-ner-hrl": "token-classification",
    "FacebookAI/xlm-roberta-large-finetuned-conll03-english": "token-classification",
    "distilbert/distilbert-base-cased-distilled-squad": "question-answering",
    "deepset/roberta-base-squad2": "question-answering",
    "deepset/tinyroberta-squad2": "question-answering",
    "monologg/koelectra-base-v3-finetuned-korquad": "question-answering",
    "MoritzLaurer/DeBERTa-v3-base-mnli-fever-anli": "zero-shot-classification",
    "cross-encoder/nli-deberta-v3-base": "zero-shot-classification",
    "typeform/distilbert-base-uncased-mnli": "zero-shot-classification",
    "google-bert/bert-base-uncased": "fill-mask",
    "FacebookAI/roberta-base": "fill-mask",
    "FacebookAI/xlm-roberta-base": "fill-mask",
    "almanach/camembert-base": "fill-mask",
    "albert/albert-base-v2": "fill-mask",
    "answerdotai/ModernBERT-base": "fill-mask",
    "klue/bert-base": "fill-mask",
    "klue/roberta-base": "fill-mask",
    "sentence-transformers/all-MiniLM-L6-v2": "feature-extraction",
    "sentence-transformers/all-mpnet-base-v2": "feature-extraction",
    "intfloat/multilingual-e5-small": "feature-extraction",
    "monologg/koelectra-base-v3-discriminator": "feature-extraction",
    "openai-community/gpt2": "text-generation",
    "distilbert/distilgpt2": "text-generation",
    "EleutherAI/pythia-160m": "text-generation",
    "EleutherAI/polyglot-ko-1.3b": "text-generation",
    "HuggingFaceTB/SmolLM2-135M-Instruct": "text-generation",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": "text-generation",
    "Qwen/Qwen2.5-0.5B-Instruct": "text-generation",
    "Qwen/Qwen3-0.6B": "text-generation",
    "unsloth/gemma-3-270m-it": "text-generation",  # google's own asks for a licence to be accepted
}

ENDINGS = {
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForQuestionAnswering": "question-answering",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "Model": "feature-extraction",
}
"""What the end of an architecture's name says of the task."""

TEXTS = [
    "I loved this movie: the story was warm and the actors were wonderful.",
    "The battery died after two days, and nobody answers my letters.",
    "Angela Merkel met Emmanuel Macron in Hamburg on 3 May 2019, the United Nations said.",
    "한국의 수도는 서울이고, 서울에는 한강이 흐른다.",
    "Zoë's café — naïve 🚀, costs 1,987.50 €, doesn't it?",
]
LABELS = ["travel", "politics", "a broken product"]
CONTEXT = (
    "My name is Clara and I live in Hamburg with two cats. The company was founded in 1987 by "
    "three engineers who had met at the university. 한국의 수도는 서울이다."
)
QUESTIONS = ["Where does Clara live?", "When was the company founded?", "한국의 수도는 어디인가?"]
MASKED = ["Paris is the {} of France.", "Le camembert est {} !", "한국의 수도는 {}이다."]
PROMPTS = ["Once upon a time", "The capital of France is", "옛날 옛적에"]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", default=sys.executable, help="a Python with transformers")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="ids, id=task, folders")
    parser.add_argument("--dtype", default="fp32", help="of silmu; transformers computes in fp32")
    parser.add_argument("--rounds", type=int, default=3, help="timed passes over the texts")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=1800, help="for a model and a library")
    parser.add_argument("--output", type=Path, help="writes FILE.md and FILE.json")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        serve(args.side)
        return
    pythons = {"silmu": sys.executable, "transformers": args.reference}
    rows: list[dict[str, Any]] = []
    for given in args.models:
        row = compare_model(given, pythons, args)
        rows.append(row)
        print(f"{row['model']}: {verdict(row)}", file=sys.stderr, flush=True)
    result = {"machine": machine(), "dtype": args.dtype, "threads": args.threads, "rows": rows}
    table = render(result)
    print(table)
    if args.output:
        args.output.with_suffix(".md").write_text(table + "\n", encoding="utf-8")
        args.output.with_suffix(".json").write_text(
            json.dumps(result, ensure_ascii=False, indent=1) + "\n", encoding="utf-8"
        )
    sys.exit(exit_code(rows))


# --------------------------------------------------------------------------------------------
# One model
# --------------------------------------------------------------------------------------------


def compare_model(given: str, pythons: dict[str, str], args: argparse.Namespace) -> dict[str, Any]:
    """The row of a model: what both say, or why there is nothing to compare."""
    model, task, reason = told(given)
    row: dict[str, Any] = {"model": model, "task": task}
    if task is None:
        return {**row, "reason": reason}
    job = {"task": task, "model": model, "rounds": args.rounds}
    dtypes = {"silmu": args.dtype, "transformers": "float32"}
    sides: dict[str, dict[str, Any]] = {}
    for library, python in pythons.items():
        asked = {**job, "dtype": dtypes[library]}
        sides[library] = ask(python, library, asked, args.threads, args.seconds)
    failed = [f"{name}: {side['error']}" for name, side in sides.items() if "error" in side]
    row["sides"] = {
        name: {key: value for key, value in side.items() if key != "answers"}
        for name, side in sides.items()
    }
    if failed:
        return {**row, "reason": "; ".join(failed)}
    return {**row, **compare(sides["silmu"]["answers"], sides["transformers"]["answers"])}


def told(given: str) -> tuple[str, str | None, str]:
    """The model and its task, or why that cannot be told."""
    model, _, task = given.partition("=")
    if task or model in MODELS:
        return model, task or MODELS[model], ""
    path = Path(model)
    if not path.is_dir():
        return model, None, f"not listed here: give its task, {model}=text-classification"
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        (name, *_) = config["architectures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return model, None, f"its config.json does not tell its task: {error!r}"
    labels = [str(label).lower() for label in (config.get("id2label") or {}).values()]
    if any(label.startswith("entail") for label in labels):
        return str(path.resolve()), "zero-shot-classification", ""
    for ending, its in ENDINGS.items():
        if name.endswith(ending):
            return str(path.resolve()), its, ""
    return model, None, f"no task is known for the architecture {name}"


def ask(
    python: str, library: str, job: dict[str, Any], threads: int, seconds: float
) -> dict[str, Any]:
    """What a library answers in a process of its own, or `error`: why it did not."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONWARNINGS": "ignore",
    }
    try:
        done = subprocess.run(
            [python, str(Path(__file__).resolve()), "--side", library],
            input=json.dumps(job),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=seconds,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {seconds:g} seconds"}
    except OSError as error:
        return {"error": f"{python} does not start: {error}"}
    try:
        return json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        return {"error": f"ended with {done.returncode}: {last}"}


# --------------------------------------------------------------------------------------------
# One library, in a process of its own
# --------------------------------------------------------------------------------------------


def serve(library: str) -> None:
    """Reads a job from stdin, and writes what the library answers to what stdout was."""
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.load(sys.stdin)
    try:
        found = answer(library, job)
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        found = {"error": f"{type(error).__name__}: {' '.join(lines)}"[:300]}
    json.dump(found, channel)
    channel.close()


def answer(library: str, job: dict[str, Any]) -> dict[str, Any]:
    """The answers of a model, how long they took, and the memory of this process."""
    started = time.perf_counter()
    pipeline = importlib.import_module(library).pipeline
    pipe = pipeline(job["task"], model=job["model"], dtype=job["dtype"], device="cpu")
    calls = calls_of(job["task"], pipe)
    answers = [plain(pipe(*args, **options)) for args, options in calls]
    loaded = time.perf_counter() - started
    seconds: list[float] = []
    for _ in range(job["rounds"]):
        started = time.perf_counter()
        for args, options in calls:
            pipe(*args, **options)
        seconds.append(time.perf_counter() - started)
    return {
        "answers": answers,
        "start": loaded,
        "seconds": statistics.median(seconds) if seconds else None,
        "memory": peak_memory(),
        "versions": versions(library),
    }


def calls_of(task: str, pipe: Any) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """What a model is asked, as arguments and options of calls."""
    if task == "question-answering":
        return [((), {"question": question, "context": CONTEXT}) for question in QUESTIONS]
    if task == "zero-shot-classification":
        return [((text,), {"candidate_labels": LABELS}) for text in TEXTS]
    if task == "fill-mask":
        return [((text.format(pipe.tokenizer.mask_token),), {}) for text in MASKED]
    if task == "text-generation":
        greedy = {"max_new_tokens": NEW_TOKENS, "do_sample": False, "num_beams": 1}
        inputs: list[Any] = list(PROMPTS)
        if getattr(pipe.tokenizer, "chat_template", None):
            inputs.append([{"role": "user", "content": "What is the capital of France?"}])
        return [((text,), greedy) for text in inputs]
    options = {"top_k": None} if task == "text-classification" else {}
    return [((text,), options) for text in TEXTS]


def plain(value: Any) -> Any:
    """An answer as JSON holds it; labels with scores by label, since equal scores have no order."""
    if isinstance(value, dict):
        if set(value) == {"sequence", "labels", "scores"}:
            return dict(zip(value["labels"], map(float, value["scores"]), strict=True))
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if value and all(isinstance(v, dict) and set(v) == {"label", "score"} for v in value):
            return {str(v["label"]): float(v["score"]) for v in value}
        return [plain(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def peak_memory() -> int | None:
    """The most memory that this process had, in bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def versions(library: str) -> dict[str, str]:
    known: dict[str, str] = {"python": platform.python_version()}
    for name in (library, "onnxruntime", "torch", "tokenizers"):
        try:
            known[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return known


# --------------------------------------------------------------------------------------------
# The comparison
# --------------------------------------------------------------------------------------------


def compare(ours: list[Any], theirs: list[Any]) -> dict[str, Any]:
    """How many answers are equal, how far numbers are apart, and the first answer that is not."""
    found = [difference(one, other) for one, other in zip(ours, theirs, strict=True)]
    numbers = [distance for distance, _ in found]
    wrong = [(i, where) for i, (_, where) in enumerate(found) if where]
    close = [i for i, (far, where) in enumerate(found) if not where and far <= TOLERANCE]
    row: dict[str, Any] = {
        "answers": len(found),
        "equal": len(close),
        "same_but_for_numbers": len(found) - len(wrong),
        "largest_difference": max(numbers, default=0.0),
    }
    if wrong:
        row["first_difference"] = f"answer {wrong[0][0]}{wrong[0][1]}"
    return row


def difference(one: Any, other: Any, where: str = "") -> tuple[float, str]:
    """The largest distance of two answers' numbers, and where they differ in anything else."""
    if isinstance(one, bool) or isinstance(other, bool):
        return 0.0, "" if one is other else f"{where}: {one!r}, not {other!r}"
    if isinstance(one, float | int) and isinstance(other, float | int):
        if isinstance(one, int) and isinstance(other, int):
            return 0.0, "" if one == other else f"{where}: {one}, not {other}"
        if not math.isfinite(one) or not math.isfinite(other):
            return 0.0, f"{where}: {one}, not {other}"
        return abs(one - other) / max(1.0, abs(other)), ""
    if isinstance(one, dict) and isinstance(other, dict):
        if set(one) != set(other):
            return 0.0, f"{where}: the keys {sorted(one)}, not {sorted(other)}"
        parts = [difference(one[key], other[key], f"{where}.{key}") for key in other]
    elif isinstance(one, list) and isinstance(other, list):
        if len(one) != len(other):
            return 0.0, f"{where}: {len(one)} items, not {len(other)}"
        pairs = enumerate(zip(one, other, strict=True))
        parts = [difference(a, b, f"{where}[{i}]") for i, (a, b) in pairs]
    else:
        return 0.0, "" if one == other else f"{where}: {one!r:.80}, not {other!r:.80}"
    return (
        max((distance for distance, _ in parts), default=0.0),
        next((place for _, place in parts if place), ""),
    )


def is_same(row: dict[str, Any]) -> bool:
    return "reason" not in row and row["equal"] == row["answers"]


def verdict(row: dict[str, Any]) -> str:
    if "reason" in row:
        return f"not compared: {row['reason']}"
    if is_same(row):
        return "same"
    if row["same_but_for_numbers"] == row["answers"]:
        return f"numbers differ by {row['largest_difference']:.1e}"
    return f"differs: {row['first_difference']}"


def exit_code(rows: list[dict[str, Any]]) -> int:
    compared = [row for row in rows if "reason" not in row]
    if not compared:
        return 2
    return 0 if all(map(is_same, compared)) else 1


# --------------------------------------------------------------------------------------------
# The table
# --------------------------------------------------------------------------------------------


def render(result: dict[str, Any]) -> str:
    """The rows as a Markdown table, and what they were measured with."""
    rows = result["rows"]
    head = ["model", "task", "verdict", "equal", "largest difference", "time", "memory"]
    lines = [f"| {' | '.join(head)} |", f"| {' | '.join(['---'] * len(head))} |"]
    lines += [f"| {' | '.join(cells(row))} |" for row in rows]
    compared = [row for row in rows if "reason" not in row]
    same = sum(map(is_same, compared))
    used: dict[str, str] = {}
    for row in rows:
        for side in row.get("sides", {}).values():
            used |= side.get("versions", {})
    named = ", ".join(f"{name} {version}" for name, version in used.items() if name != "python")
    return "\n".join(
        [
            *lines,
            "",
            f"{same} of {len(compared)} compared models say the same, to {TOLERANCE:g}; "
            f"{len(rows) - len(compared)} could not be compared. {result['machine']}, "
            f"{result['threads']} threads, silmu in {result['dtype']}; {named}.",
            "Time: seconds of one pass over the texts, silmu / transformers, and how many times "
            "faster silmu is. Memory: peak of the process, silmu / transformers.",
        ]
    )


def cells(row: dict[str, Any]) -> list[str]:
    name = Path(row["model"]).name if Path(row["model"]).is_dir() else row["model"]
    first = [name, row["task"] or "", verdict(row).replace("|", "\\|").replace("\n", " ")]
    if "reason" in row:
        return [*first, "", "", "", ""]
    ours, theirs = row["sides"]["silmu"], row["sides"]["transformers"]
    times = [side["seconds"] for side in (ours, theirs)]
    memory = [side["memory"] for side in (ours, theirs)]
    return [
        *first,
        f"{row['equal']}/{row['answers']}",
        f"{row['largest_difference']:.1e}",
        f"{times[0]:.3f} / {times[1]:.3f} ({times[1] / times[0]:.1f}×)" if all(times) else "",
        " / ".join(f"{size / 2**20:.0f}" for size in memory) + " MiB" if all(memory) else "",
    ]


def machine() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors"


if __name__ == "__main__":
    main()
