"""What the machine can do at most: the best product of fp32 matrices, and the fastest reading.

Each is the best that several libraries reach, so that no peer should come out above it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch

from ._serve import NUM_THREADS, Runs, serve

NUM_TRIES = 5
SIZES = (768, 1536, 2048, 3072)
READ_FLOATS = 2**26  # 256 MiB, more than any cache


def load(models: Path, work: dict[str, Any], measures: list[str]) -> Runs:
    torch.set_num_threads(NUM_THREADS)
    rng = np.random.default_rng(0)
    pairs = [rng.standard_normal((2, size, size), np.float32) for size in SIZES]
    products: list[tuple[float, Callable[[], Any]]] = []
    for a, b in pairs:
        flops = 2.0 * len(a) ** 3
        products.append((flops, partial(np.matmul, a, b)))
        products.append((flops, partial(torch.mm, torch.from_numpy(a), torch.from_numpy(b))))
        products.append((flops, openvino_product(a, b)))
    # Written, not zeros: pages that were never written all map to one page of memory.
    array = rng.random(READ_FLOATS, np.float32)
    tensor = torch.from_numpy(array)
    square = tensor.view(2**13, 2**13)
    readers = (partial(array.dot, array), tensor.sum, partial(square.mv, square[0]))
    reads = [(float(array.nbytes), read) for read in readers]
    return {"sgemm": partial(best, products), "read": partial(best, reads)}


def openvino_product(a: Any, b: Any) -> Callable[[], Any]:
    ops = ov.opset13
    left = ops.parameter(a.shape, np.float32)
    model = ov.Model([ops.matmul(left, ops.constant(b), False, False)], [left])
    options = {"INFERENCE_NUM_THREADS": NUM_THREADS, "INFERENCE_PRECISION_HINT": "f32"}
    request = ov.Core().compile_model(model, "CPU", options).create_infer_request()
    return partial(request.infer, [a])


def best(works: list[tuple[float, Callable[[], Any]]]) -> float:
    """The most work a second."""
    rates: list[float] = []
    for amount, run in works:
        for _ in range(NUM_TRIES):
            started = time.perf_counter()
            run()
            rates.append(amount / (time.perf_counter() - started))
    return max(rates)


if __name__ == "__main__":
    serve(load, ["torch", "numpy", "openvino"])
