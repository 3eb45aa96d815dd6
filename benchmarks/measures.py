"""What is measured, what is asked of it, and what it costs at the least.

Costs are counted from the models' shapes, without padding and in full: 2 operations a
multiplication with addition, matrix products only; every weight and every cached key and value read
once a pass. An engine that leaves out work which the answer does not need is given credit for it.
The limit of a measure is the time that these costs take at the machine's best rates, the larger of
the two in each pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Measure:
    """One comparison: silmu's time against that of the reference, the best of its variants.

    `target`, `q8` and `openvino` are how many times as fast silmu is to be in fp32, in 8 bits, and
    with OpenVINO in the better of bf16 and 8 bits.
    """

    name: str
    title: str
    target: float
    q8: float
    openvino: float | None = None
    reference: str = "transformers"
    repeats: int = 1


MEASURES = (
    Measure("sentence", "One sentence of 12 tokens, labelled", 3.0, 6.5, 4.0, repeats=60),
    Measure("text", "One text of 128 tokens, labelled", 1.15, 2.2, 2.7, repeats=20),
    Measure("many", "256 texts of 8 to 256 tokens, labelled", 2.0, 3.0, 4.2),
    Measure(
        "question", "A question about 2,000 words", 1.0, 1.5, 2.3, reference="transformers-4.57"
    ),
    Measure("generate-short", "GPT-2, prompt of 12 tokens, 50 new", 2.7, 6.0),
    Measure("generate-long", "GPT-2, prompt of 512 tokens, 128 new", 2.3, 4.5),
    Measure("generate-many", "GPT-2, 8 prompts of 12 tokens, 50 new each", 3.3, 5.5, 6.5),
)
START_TARGET, MEMORY_TARGET = 15.0, 2.0

FLOAT = 4  # bytes
HIDDEN, VOCABULARY = 768, 50257
ENCODER_LAYERS, DECODER_LAYERS = 6, 12
LAYER_WEIGHTS = 12 * HIDDEN**2  # query, key, value, output, and two of 4 times the width

Pass = tuple[float, float]
"""Operations and bytes of one pass through a model."""


def encoder_passes(lengths: Sequence[int]) -> list[Pass]:
    """All rows at once, the attention of each over itself."""
    products = 2 * LAYER_WEIGHTS * sum(lengths)
    attention = 4 * HIDDEN * sum(n * n for n in lengths)
    flops = ENCODER_LAYERS * (products + attention)
    return [(flops, ENCODER_LAYERS * LAYER_WEIGHTS * FLOAT)]


def decoder_passes(prompts: Sequence[int], num_new: int) -> list[Pass]:
    """The prompts at once, then a pass a token; the last token is never read."""
    weights = (DECODER_LAYERS * LAYER_WEIGHTS + VOCABULARY * HIDDEN) * FLOAT
    head = 2 * VOCABULARY * HIDDEN * len(prompts)
    attention = sum(2 * HIDDEN * n * n for n in prompts)  # causal: half of the square
    first = DECODER_LAYERS * (2 * LAYER_WEIGHTS * sum(prompts) + attention) + head
    passes: list[Pass] = [(first, weights)]
    for step in range(1, num_new):
        seen = sum(prompts) + len(prompts) * step
        flops = DECODER_LAYERS * (2 * LAYER_WEIGHTS * len(prompts) + 4 * HIDDEN * seen) + head
        passes.append((flops, weights + DECODER_LAYERS * 2 * HIDDEN * seen * FLOAT))
    return passes


def passes(given: dict[str, Any]) -> list[Pass]:
    """The passes that a workload needs."""
    if "prompts" in given:
        return decoder_passes(given["lengths"], given["new_tokens"])
    return encoder_passes(given["lengths"])


def limit(costs: Sequence[Pass], flops_per_second: float, bytes_per_second: float) -> float:
    """The seconds that cannot be undercut."""
    return sum(max(f / flops_per_second, b / bytes_per_second) for f, b in costs)
