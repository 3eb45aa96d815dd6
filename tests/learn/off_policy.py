"""What tests of algorithms that learn from a replay share."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from small_environments import config, made

from silmu.steps.train.reinforcement.off_policy import OffPolicy

Learner = TypeVar("Learner", bound=OffPolicy)


def learner(
    kind: type[Learner],
    source: Any,
    folder: Path,
    settings: Mapping[str, Any],
    *,
    limit: int | None = None,
) -> Learner:
    """An algorithm that has not learnt yet, with a small perceptron, from one seed."""
    environments = made(source, folder, settings.get("num_environments", 1), limit=limit)
    made_of: Any = kind
    return made_of(environments, config(environments, kind.__name__.lower()), settings, seed=1)


def learnt(algorithm: Learner) -> Learner:
    """The same, when it has learnt all that it should."""
    own: Any = algorithm
    while own.steps < own.total_steps:
        numbers = own.iterate()
        assert all(np.isfinite(one) for one in numbers.values())
    return algorithm


def assert_goes_on_alike(begun: Callable[[], OffPolicy]) -> None:
    """What it remembers after an iteration makes another one the same, bit for bit."""
    first, second = begun(), begun()
    own: Any = first
    own.iterate()
    tensors, plain = copy.deepcopy(first.state())
    learnt(first)
    second.restore(tensors, json.loads(json.dumps(plain)))
    learnt(second)
    (one, plain_one), (two, plain_two) = first.state(), second.state()
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert json.loads(json.dumps(plain_one)) == json.loads(json.dumps(plain_two))
