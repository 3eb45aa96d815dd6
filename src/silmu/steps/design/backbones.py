"""Networks that were trained before, to go on from."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from silmu import registry
from silmu.errors import ModelNotFoundError, UnsupportedModelError
from silmu.runtime import hub
from silmu.steps.design.plan import PROBE, probed

if TYPE_CHECKING:
    from types import ModuleType

    from torch import nn

    from silmu.runtime.folder import Folder
    from silmu.steps.prepare.prepared import Prepared


def backbone(
    network: str, head: str, from_nothing: Sequence[str], own: Sequence[str] = ()
) -> Folder:
    """The folder of a model to fine-tune, or of that which a probe reads with.

    Args:
        network: a model folder, a hub id, or a probe that names one.
        head: the task that it is to be trained for, or what a probe needs of it.
        from_nothing: the networks that need no folder, for messages.
        own: model types of silmu's that it may be of.

    Raises:
        UsageError: the name is neither a network nor a folder.
        ModelNotFoundError: there is no such model, here or on the hub.
        UnsupportedModelError: silmu has no graph for its architecture, so it could not be used.
    """
    try:
        folder = hub.open_model(probed(network) or network)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(
            f"no network `{network}`: {error.message}",
            hint=f"--network may be auto, {', '.join(from_nothing)}, a model folder, a hub id or "
            f"package:NAME/path; {PROBE}:MODEL takes any of these three as it is, with a new head",
        ) from error
    model_type = folder.config["model_type"]
    family = registry.graph_module(model_type)
    is_own = model_type.startswith("silmu-") and model_type not in own
    if family is None or is_own or not _is_learnt(family, head):
        raise UnsupportedModelError(
            f"`{network}` is a {model_type!r}; for {head} silmu goes on from "
            f"{', '.join([*model_types(head), *own])}"
        )
    return folder


def model_types(head: str) -> list[str]:
    """Every architecture of others that can be trained for a task."""
    known = [name for name in registry.model_types() if not name.startswith("silmu-")]
    families = {name: registry.graph_module(name) for name in known}
    return [name for name, one in families.items() if one is not None and _is_learnt(one, head)]


def _is_learnt(family: ModuleType, head: str) -> bool:
    return head in family.HEADS and not getattr(family, "ONLY_USED", False)


def here(names: Sequence[str]) -> str | None:
    """The first of some models that is on this machine."""
    return next((name for name in names if _is_here(name)), None)


def _is_here(name: str) -> bool:
    try:
        hub.open_model(name, local_files_only=True)
    except ModelNotFoundError:
        return False
    return True


def begin_at_frequencies(network: nn.Module, prepared: Prepared) -> None:
    """Sets the shift of the last layer so that a network begins with how frequent labels are.

    With many labels, each of them rare, it would otherwise spend its first epochs on learning that.
    """
    import torch

    if prepared.kind == "number":
        return
    linear = [one for one in network.modules() if isinstance(one, torch.nn.Linear)]
    last = [one for one in linear if one.out_features == len(prepared.labels)][-1:]
    share = np.array(prepared.target.counts, np.float64) / prepared.counts["train"]
    share = share.clip(1e-6, 1 - 1e-6)
    odds = np.log(share / (1 - share)) if prepared.kind == "multiple" else np.log(share)
    for one in last:
        bias = dict(one.named_parameters()).get("bias")
        if bias is not None:
            with torch.no_grad():
                bias.copy_(torch.tensor(odds))


def keys_of_labels(prepared: Prepared) -> dict[str, object]:
    """What a config of transformers is told of the labels."""
    labels = prepared.labels or (prepared.dataset.roles.target[0],)
    problem = {"multiple": "multi_label_classification", "number": "regression"}
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: i for i, label in enumerate(labels)},
        "problem_type": problem.get(prepared.kind, "single_label_classification"),
    }
