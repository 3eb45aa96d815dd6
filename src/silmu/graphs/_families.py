"""What can be built of a model folder: by which family, in which precision, and at what cost."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from silmu import registry
from silmu.errors import UnsupportedModelError, UsageError
from silmu.runtime import weights

if TYPE_CHECKING:
    from types import ModuleType

    from silmu.runtime.folder import Folder

logger = logging.getLogger("silmu")

DTYPES = ("fp32", "q8", "q4")
"""The precisions that a graph is built in."""

ONNXRUNTIME, OPENVINO = "onnxruntime", "openvino"
ENGINES = {ONNXRUNTIME: DTYPES, OPENVINO: ("fp32", "bf16", "q8")}
"""The precisions that each engine computes in."""

SHOWN = "layers."
"""What the names of values between layers begin with, in a graph that gives them too."""


def check(folder: Folder, head: str) -> ModuleType:
    """The family that builds a folder with a head, if it can; reads headers, builds nothing.

    Raises:
        UnsupportedModelError: no graph is written for this architecture or head, or the checkpoint
            was never trained for it.
    """
    model_type = folder.config["model_type"]
    family = registry.graph_module(model_type)
    if family is None:
        raise registry.no_graph(folder.name, model_type)
    if head not in family.HEADS:
        raise UnsupportedModelError(
            f"`{folder.name}` is a {model_type!r}, which silmu builds for "
            f"{', '.join(family.HEADS)}, not for {head}"
        )
    tensors = weights.Weights.open(folder)
    given = family.HEADS[head]
    proofs = _proofs(given)
    names = folder.config.get("architectures") or ["of unknown class"]
    told = registry.task_of_architecture(str(names[0]))
    # Where two heads have a tensor of the same name, only the class tells them apart; that of the
    # body, which a head may be tied to, is in all of them.
    of_vectors, body = _body(family)
    other = told != head and family.HEADS.get(told) == given != body
    before = prefix(family, model_type)
    if other or not any(n in tensors or f"{before}{n}" in tensors for n in proofs):
        raise UnsupportedModelError(
            f"`{folder.name}` was not trained for {head}: it is a {', '.join(names)}"
            + ("" if other else f" and has no tensor {' or '.join(proofs)}"),
            hint=f"take a model that was fine-tuned for {head}; a bare encoder gives "
            f"vectors, with the task `{of_vectors}`",
        )
    return family


def prefix(family: ModuleType, model_type: str) -> str:
    """What stands before the names of the body's tensors where it is part of a larger model."""
    return family.PREFIX.replace("{model_type}", model_type)


def prefix_in(tensors: weights.Weights, family: ModuleType, model_type: str) -> str:
    """What stands before the names of the body's tensors in a checkpoint."""
    _, body = _body(family)
    before = prefix(family, model_type)
    return before if any(f"{before}{name}" in tensors for name in _proofs(body)) else ""


def choose_dtype(folder: Folder, dtype: str, engine: str = ONNXRUNTIME) -> str:
    """The precision that a graph is built in for one that was asked for: one of ENGINES[engine].

    Where it is another, a warning says why.

    Raises:
        UsageError: there is no such engine, or it has no such precision, nor one that fp32 answers
            for.
    """
    if engine not in ENGINES:
        raise UsageError(f"engine is {engine!r}; it may be {', '.join(ENGINES)}")
    made = ENGINES[engine]
    if dtype in ("fp16", "bf16") and dtype not in made:
        logger.warning("dtype %s: this version computes in fp32, which is more precise", dtype)
        return "fp32"
    if dtype not in made:
        of_engine = "" if engine == ONNXRUNTIME else f" for {engine}"
        raise UsageError(
            f"dtype is {dtype!r}; from safetensors silmu makes {', '.join(made)}{of_engine}",
            hint="leave it out for fp32, or take q8, which is smaller and faster",
        )
    # Networks of our own have few weights, and what they sum over the tokens of a text depends, in
    # its last bits, on how far that is padded: rounded to 8 bits it would show. Convolutions have
    # few weights too.
    if dtype != "fp32" and is_small(registry.graph_module(folder.config["model_type"])):
        logger.warning("dtype %s: `%s` is of a kind that computes in fp32", dtype, folder.name)
        return "fp32"
    return dtype


def is_small(family: ModuleType | None) -> bool:
    """Whether a family is built in fp32 alone."""
    return getattr(family, "DTYPES", DTYPES) == ("fp32",)


def bytes_a_number(family: ModuleType, dtype: str) -> int:
    """What a number of a model takes on disk while its graph is built, however it is stored.

    It is written, and written again by the engine, which packs the matrices of decoders beside
    them, and those of families that say so.
    """
    if dtype in ("q8", "q4"):
        return 4 if dtype == "q8" else 3
    return 12 if "text-generation" in family.HEADS or getattr(family, "PACKED", False) else 8


def _body(family: ModuleType) -> tuple[str, str | tuple[str, ...]]:
    """The task that a family without a head is for, and the tensors that prove that it is there."""
    for task in ("feature-extraction", "image-feature-extraction"):
        if task in family.HEADS:
            return task, family.HEADS[task]
    return "feature-extraction", ""


def _proofs(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """The tensors of which one proves a head."""
    return (given,) if isinstance(given, str) else given
