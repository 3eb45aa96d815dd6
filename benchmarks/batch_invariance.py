"""Asks the same texts alone and in shuffled batches, and compares the answers.

    python benchmarks/batch_invariance.py MODEL ... --dtype q8 --batches 100000 --seconds 600

An answer must not depend on what else was asked: in q8 it must be equal to the last bit, in fp32
every label must be the same and every number within 1e-4. The exit code is 1 where it is not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import Any

import numpy as np

import silmu
from silmu.pipelines import Pipeline
from silmu.runtime.text import Encoded

TOLERANCE = {"fp32": 1e-4, "q8": 0.0}
WORDS = (
    "the old lighthouse keeper climbed narrow stairs every evening to trim lamp before storm "
    "came from north sea while small boats hurried home and children counted waves 서울 은 바다 "
    "naïve café 1,987.50 rockets 🚀 were never seen there nor wanted said mayor quietly"
)
NUM_TEXTS, LONGEST = 200, 40


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", help="folders of encoders")
    parser.add_argument("--dtype", default="q8", choices=[*TOLERANCE])
    parser.add_argument("--batches", type=int, default=100_000, help="of each model")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, for each model")
    args = parser.parse_args()
    failed = False
    for model in args.models:
        found = measure(model, args.dtype, args.batches, args.seconds)
        failed |= not found["same"]
        print(json.dumps(found), flush=True)
    sys.exit(failed)


def measure(model: str, dtype: str, batches: int, seconds: float) -> dict[str, Any]:
    rng = random.Random(2026)
    texts = [
        " ".join(rng.choices(WORDS.split(), k=rng.choice([1, 1, 2, 3, 5, 8, 13, 21, LONGEST])))
        for _ in range(NUM_TEXTS)
    ]
    pipe = silmu.pipeline(model=model, dtype=dtype)
    encoded = [pipe.tokenizer.encode(text, truncation=True, max_length=64) for text in texts]
    pipe.model(**pipe.tokenizer.pad(encoded[:1], len(encoded[0])))  # the weights are packed now
    alone = [answers(pipe, [one])[0] for one in encoded]
    count, asked, worst, labels = 0, 0, 0.0, True
    end = time.monotonic() + seconds
    while count < batches and time.monotonic() < end:
        chosen = [rng.randrange(NUM_TEXTS) for _ in range(rng.randint(2, 12))]
        found = answers(pipe, [encoded[i] for i in chosen])
        for i, answer in zip(chosen, found, strict=True):
            worst = max(worst, float(np.abs(answer - alone[i]).max()))
            labels &= bool(answer.argmax() == alone[i].argmax())
        count += 1
        asked += len(chosen)
    return {
        "model": model,
        "task": pipe.task,
        "dtype": dtype,
        "batches": count,
        "texts": asked,
        "largest_difference": worst,
        "same": worst <= TOLERANCE[dtype] and labels,
    }


def answers(pipe: Pipeline, rows: list[Encoded]) -> list[np.ndarray]:
    """What the model gives for each row of a batch, without what stands at padding."""
    found = pipe.model(**pipe.tokenizer.pad(rows, max(map(len, rows))))
    per_token = {k for k, port in pipe.model.session.outputs.items() if "tokens" in port.shape}
    return [
        np.concatenate(
            [
                (value[i, : len(row)] if name in per_token else value[i]).ravel()
                for name, value in found.items()
            ]
        )
        for i, row in enumerate(rows)
    ]


if __name__ == "__main__":
    main()
