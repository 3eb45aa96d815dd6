"""What the machine can do at most: the best product of fp32 matrices, and the fastest reading.

Each is the best of what three libraries reach; no peer should come out above it by more than noise.
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

from peers._serve import NUM_THREADS, Runs, serve

SIZES = (768, 1536, 2048, 3072)
READ_GIB = 1


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
    big = torch.from_numpy(rng.random(READ_GIB * 2**28, np.float32))
    half = torch.stack([big[: len(big) // 2], big[len(big) // 2 :]])
    num_bytes = float(READ_GIB * 2**30)
    reads = [(num_bytes, big.sum), (num_bytes, partial(torch.mv, half, torch.ones(half.shape[1])))]
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
        for _ in range(4):
            started = time.perf_counter()
            run()
            rates.append(amount / (time.perf_counter() - started))
    return max(rates)


if __name__ == "__main__":
    serve(load, ["torch", "numpy", "openvino"])
