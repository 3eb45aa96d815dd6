"""Torch as a training needs it: the same numbers each time, from random numbers of its own."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.deterministic

from silmu.steps.train.ranks import resolved

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def deterministic(device: str, threads: int | None) -> Generator[None]:
    """In here torch computes the same each time; afterwards it and all generators are as before.

    Args:
        device: as `Ranks` takes it.
        threads: of torch's; as many as it has unless given.
    """
    before = torch.get_num_threads()
    exact = torch.get_deterministic_debug_mode()
    memory: Any = torch.utils.deterministic
    fills = memory.fill_uninitialized_memory
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()
    on_cpu = resolved(device) == "cpu"
    # cuBLAS is exact only with this, read when it is first used.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # The same as use_deterministic_algorithms, without loading a compiler for two seconds.
    torch.set_deterministic_debug_mode("error" if on_cpu else "warn")
    # It guards against kernels that read what they did not write, at the price of writing it all.
    memory.fill_uninitialized_memory = False
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        torch.set_deterministic_debug_mode(exact)
        memory.fill_uninitialized_memory = fills
        torch.set_rng_state(states[0])
        np.random.set_state(states[1])
        random.setstate(states[2])
