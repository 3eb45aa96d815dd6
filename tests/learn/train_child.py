"""A small real training, as a program that other tests kill, and compare."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from silmu import store
from silmu.errors import Interrupted, SilmuError
from silmu.steps.train.batches import derive
from silmu.steps.train.loop import fit
from silmu.steps.train.objective import Objective
from silmu.steps.train.progress import Progress
from silmu.steps.train.settings import Training


class Reader(nn.Module):
    """Embeddings, an LSTM, dropout: what most networks for texts are made of."""

    def __init__(self, *, sparse: bool = False, dropout: float = 0.3) -> None:
        super().__init__()
        self.embedding = nn.Embedding(40, 8, padding_idx=0, sparse=sparse)
        self.lstm = nn.LSTM(8, 12, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(12)
        self.output = nn.Linear(12, 3)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(self.dropout(self.embedding(ids)))
        mask = (ids > 0).unsqueeze(2)
        mean = (states * mask).sum(1) / mask.sum(1)
        return self.output(self.dropout(self.norm(mean)))


class Sequences(Objective):
    """Which of three letters comes most often in a sequence; some ids are masked by chance."""

    metric = "accuracy"
    higher_is_better = True

    def __init__(
        self, num_examples: int = 40, *, sparse: bool = False, dropout: float = 0.3
    ) -> None:
        draws = np.random.default_rng(5)
        self.ids = [draws.integers(1, 40, draws.integers(3, 15)) for _ in range(num_examples + 30)]
        self.targets = np.array([np.bincount(ids % 3, minlength=3).argmax() for ids in self.ids])
        self.lengths = np.array([len(ids) for ids in self.ids[:num_examples]])
        self.num_examples = num_examples
        torch.manual_seed(0)
        self.network = Reader(sparse=sparse, dropout=dropout)
        self.careless = False
        self.strike: tuple[int, int] | None = None
        self.losses = 0
        self.generator = torch.Generator().manual_seed(1)
        self.planted: dict[int, float] = {}

    def batch(self, indices: np.ndarray, seed: int) -> dict[str, torch.Tensor]:
        return self.padded(indices, seed)

    def padded(self, indices: np.ndarray, seed: int | None) -> dict[str, torch.Tensor]:
        rows = []
        for index in indices.tolist():
            ids = self.ids[index].copy()
            if seed is not None:
                ids[random.Random(derive(seed, index)).randrange(len(ids))] = 39
            rows.append(torch.from_numpy(ids))
        batch = {"ids": nn.utils.rnn.pad_sequence(rows, batch_first=True)}
        weights = [self.planted.get(index, 1.0) for index in indices.tolist()]
        return batch | {
            "targets": torch.from_numpy(self.targets[indices]),
            "weights": torch.tensor(weights),
        }

    def loss(self, batch: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        self.losses += 1
        if self.strike is not None and self.losses == self.strike[0]:
            os.kill(os.getpid(), self.strike[1])
        logits = self.network(batch["ids"]).float()
        if self.careless:
            # A generator of its own, which nobody saves: the fault that the kills must find.
            logits = logits + 0.1 * torch.randn(logits.shape, generator=self.generator)
        losses = nn.functional.cross_entropy(logits, batch["targets"], reduction="none")
        return (losses * batch["weights"]).sum(), torch.tensor(float(len(losses)))

    def validate(self) -> dict[str, float]:
        rows = np.arange(self.num_examples, len(self.ids))
        if self.note is not None:
            store.write_file(self.note, b"validating")
        logits = self.network(self.padded(rows, None)["ids"])
        targets = torch.from_numpy(self.targets[rows])
        return {
            "loss": float(nn.functional.cross_entropy(logits, targets)),
            "accuracy": float((logits.argmax(1) == targets).float().mean()),
        }

    note: Path | None = None
    """A file to be written during validation, so that a kill can strike there."""


def digest(network: nn.Module) -> str:
    found = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        found.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def training(**changed: object) -> Training:
    settings: dict[str, object] = {
        "epochs": 3,
        "batch_size": 16,
        "accumulation": 2,
        "learning_rate": 0.02,
        "evaluations": 2,
        "average": 0.9,
        "threads": 1,
        "device": "cpu",
        "checkpoint_seconds": 0.0,
        "fingerprint": "sequences",
    }
    return Training(**{**settings, **changed})  # type: ignore[arg-type]


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", type=json.loads, default={})
    parser.add_argument("--sparse", action="store_true")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--careless", action="store_true")
    parser.add_argument("--strike", type=json.loads, help="[in which loss, which signal]")
    parser.add_argument("--trace", action="store_true", help="tell of each operation on the disk")
    given = parser.parse_args(arguments)
    warnings.simplefilter("error")
    objective = Sequences(sparse=given.sparse, dropout=given.dropout)
    objective.careless = given.careless
    objective.strike = given.strike
    objective.note = given.folder.parent / f"{given.folder.name}.note"
    seen: list[str] = []
    quiet = Progress(quiet=True)
    try:
        with store.observe(lambda site, path: seen.append(f"{site} {path}")):
            outcome = fit(objective, training(**given.set), given.folder, progress=quiet)
    except Interrupted as error:
        print(error, file=sys.stderr)
        return error.code
    except SilmuError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    # Not only the best weights, which may be from before whatever happened.
    last = store.verify(store.read_pointer(given.folder) or "").files
    last = {name: one.sha256 for name, one in last.items() if name.endswith("safetensors")}
    told = {
        "weights": [digest(objective.network), last],
        "metric": outcome.best_metric,
        "step": outcome.step,
        "steps": outcome.steps,
        "stopped": outcome.stopped,
        "losses": objective.losses,
        "trace": seen if given.trace else [],
    }
    print(json.dumps(told))
    return 0


def serve(main: Callable[[list[str]], int] = main) -> None:
    """Run each line of stdin, a JSON object, in a fork: a fresh process that need not import."""
    # What every optimizer loads when it is made, here once for all.
    torch.optim.SGD([torch.zeros(1)], lr=0.1)
    for line in sys.stdin:
        job = json.loads(line)
        child = os.fork()
        if not child:
            os.environ.update(job["env"])
            for handle, name in ((1, "out"), (2, "error")):
                os.dup2(os.open(job[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), handle)
            code = 70
            try:
                code = main(job["arguments"])
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["serve"] else sys.exit(main(sys.argv[1:]))
