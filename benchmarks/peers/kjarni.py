"""kjarni: sentiment only, as it has no question answering and no plain text generation.

It opens the models of its own list only. DistilBERT for sentiment is one, so the weights lie under
its name.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import kjarni

from ._serve import Runs, serve


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    classifier = kjarni.Classifier("distilbert-sentiment", cache_dir=str(models / "kjarni"))
    return {name: partial(label, classifier, work[name]["texts"]) for name in measures}


def label(classifier: kjarni.Classifier, texts: list[str]) -> list[list[Any]]:
    return [[result.label, result.score] for result in classifier.classify_batch(texts)]


if __name__ == "__main__":
    serve(load, ["kjarni"])
