"""Model folders for pictures that are fitted at once: a perceptron, by scikit-learn, no torch."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression, Ridge

from silmu.runtime.folder import Folder
from silmu.runtime.processor import FILE, Processor
from silmu.steps.prepare.images import features, processor_of
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.prepare.thresholds import choose_thresholds

PROBLEMS = {"number": "regression", "multiple": "multi_label_classification"}


def perceptron(prepared: Prepared, folder: Path) -> Path:
    """What a perceptron learns of prepared pictures, as the model folder of one."""
    shutil.copytree(prepared.processor, folder)
    shutil.copy(prepared.path / "schema.json", folder)
    processor, train = processor_of(prepared), features(prepared, "train")
    inputs = processor.normalised(np.array(train.pixels)).reshape(len(train), -1)
    kind, labels = prepared.kind, prepared.labels or ("LABEL_0",)
    weight, bias = _fitted(kind, inputs, np.array(train.targets), len(labels))
    config = {
        "model_type": "silmu-image",
        "architectures": ["SilmuForImageClassification"],
        "kind": "perceptron",
        "image_size": list(processor.size),
        "num_channels": processor.channels,
        "num_outputs": len(labels),
        "hidden_size": 16,
        "num_layers": 1,
        "problem_type": PROBLEMS.get(kind, "single_label_classification"),
        "id2label": {str(i): label for i, label in enumerate(labels)},
        "label2id": {label: i for i, label in enumerate(labels)},
    }
    (folder / "config.json").write_text(json.dumps(config))
    ends = {"scale": np.ones(len(labels)), "shift": np.zeros(len(labels))}
    arrays = {"output.weight": weight, "output.bias": bias, **ends}
    tensors = {name: np.ascontiguousarray(one, np.float32) for name, one in arrays.items()}
    save_file(tensors, folder / "model.safetensors")
    if kind == "multiple":
        validation = features(prepared, "validation")
        seen = processor.normalised(np.array(validation.pixels)).reshape(len(validation), -1)
        scores = 1 / (1 + np.exp(-(seen @ weight.T + bias)))
        chosen = Processor.open(Folder(folder, "it"), of_texts=False)
        assert chosen is not None
        limits = choose_thresholds(scores, validation.targets)
        (folder / FILE).write_bytes(chosen.with_thresholds(limits).to_bytes())
    return folder


def _fitted(kind: str, inputs: Any, targets: Any, labels: int) -> tuple[Any, Any]:
    if kind == "number":
        ridge: Any = Ridge(alpha=100.0).fit(inputs, targets)
        return ridge.coef_.reshape(1, -1), np.reshape(ridge.intercept_, 1)
    parts = [targets == i for i in range(labels)] if targets.ndim == 1 else targets.T
    found = [LogisticRegression(C=0.01, max_iter=300).fit(inputs, part) for part in parts]
    return (
        np.concatenate([one.coef_ for one in found]),
        np.concatenate([one.intercept_ for one in found]),
    )
