"""Networks that learn from the rows of a table from nothing: a perceptron, and an ensemble of them.

`tabm` is TabM (Gorishniy et al. 2025, https://arxiv.org/abs/2410.24210): a number goes in as a
piecewise linear embedding (Gorishniy et al. 2022, https://arxiv.org/abs/2203.05556), and many
perceptrons, its members, share most of their weights. Each learns for itself; what is answered is
the mean of them. Layers are those of the packages `tabm` and `rtdl_num_embeddings`.

`silmu.graphs.silmu_table` builds the same network as an ONNX graph.
"""

# Of torch's functions many have no complete types, and tabm has none that are complete.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rtdl_num_embeddings import PiecewiseLinearEmbeddings
from tabm import EnsembleView, LinearBatchEnsemble, LinearEnsemble, make_tabm_backbone
from torch import Tensor, nn
from torch.nn import functional

from silmu.errors import UnknownNameError, UsageError
from silmu.networks import products

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS = ("perceptron", "tabm")
MODEL_TYPE = "silmu-table"
MEANS = ("softmax", "sigmoid", "number")
"""How members are averaged: as chances of one label, of each label, or as numbers."""

NARROWEST = 1e-3
"""How wide a piece of a line is at least: 32 bits tell no finer ones from each other."""

DEFAULTS: dict[str, Any] = {
    "members": 32,
    "hidden_size": 256,
    "num_layers": 2,
    "number_bins": 48,
    "number_size": 16,
    "category_size": 24,
    "dropout": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class TableNetworkConfig:
    """The shape of a network.

    Attributes:
        kind: one of KINDS.
        mean: one of MEANS.
        num_numbers: N, of `numbers` (rows, N).
        category_sizes: of each column of `categories` (rows, C), how many numbers it may hold.
        num_outputs: logits.
        members: perceptrons of the ensemble.
        hidden_size: numbers in each layer of a member.
        num_layers: of a member.
        number_bins: pieces of the line that a number is embedded by, at most; 0 to take it as it
            is.
        number_size: numbers in the embedding of a number.
        category_size: numbers in the embedding of a category, at most.
        dropout: of what the layers give, while it learns.
    """

    kind: str
    mean: str
    num_numbers: int
    category_sizes: tuple[int, ...]
    num_outputs: int
    members: int = 32
    hidden_size: int = 256
    num_layers: int = 2
    number_bins: int = 48
    number_size: int = 16
    category_size: int = 24
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UnknownNameError(f"network is {self.kind!r}; it may be {', '.join(KINDS)}")
        for name in ("members", "hidden_size", "num_layers", "number_size", "category_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.number_bins < 0:
            raise UsageError(f"number_bins is {self.number_bins}; it must be at least 0")
        if not 0 <= self.dropout < 1:
            raise UsageError(f"dropout is {self.dropout}; it must be from 0 to below 1")

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds of it."""
        own = asdict(self) | {"category_sizes": list(self.category_sizes)}
        return {"model_type": MODEL_TYPE, **own}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TableNetworkConfig:
        """A config from config.json, whatever else that holds."""
        names = {f.name for f in fields(cls)}
        own: dict[str, Any] = {k: v for k, v in values.items() if k in names and v is not None}
        own["category_sizes"] = tuple(own["category_sizes"])
        return cls(**own)


class TableNetwork(nn.Module):
    """Numbers and categories to the logits of each member.

    >>> sizes = {"num_numbers": 1, "category_sizes": (5,), "num_outputs": 3, "members": 4}
    >>> config = TableNetworkConfig(kind="tabm", mean="softmax", **sizes)
    >>> network = TableNetwork(config, bins=[np.array([-1.0, 0.0, 1.0])])
    >>> network(numbers=torch.zeros(2, 1), categories=torch.zeros(2, 1, dtype=torch.long)).shape
    torch.Size([2, 4, 3])

    Args:
        config: its shape.
        bins: for each number the ends of its pieces, rising; see `bins_of`.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, config: TableNetworkConfig, bins: Sequence[NDArray[Any]] = ()) -> None:
        super().__init__()
        self.config = config
        is_ensemble = config.kind == "tabm"
        self.numbers: nn.Module | None = None
        widths = [1] * config.num_numbers
        if is_ensemble and config.num_numbers and config.number_bins:
            ends = [torch.tensor(one, dtype=torch.float32) for one in bins]
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", ".*just two bin edges")  # of what is 0 or 1
                self.numbers = PiecewiseLinearEmbeddings(
                    ends, config.number_size, activation=False, version="B"
                )
            widths = [config.number_size] * config.num_numbers
        self.categories = nn.ModuleList(
            _embedding(size, config.category_size) for size in config.category_sizes
        )
        widths += [min(size, config.category_size) for size in config.category_sizes]
        inner, size = sum(widths), config.hidden_size
        if is_ensemble:
            self.view = EnsembleView(k=config.members)
            self.body: nn.Module = make_tabm_backbone(
                arch_type="tabm",
                d_in=inner,
                n_blocks=config.num_layers,
                d_block=size,
                dropout=config.dropout,
                k=config.members,
                start_scaling_init="normal" if self.numbers else "random-signs",
                start_scaling_init_chunks=widths,
            )
            self.output: nn.Module = LinearEnsemble(size, config.num_outputs, k=config.members)
            for module in self.body.modules():
                if type(module) is LinearBatchEnsemble:
                    module.__class__ = _Quick
        else:
            self.view = nn.Unflatten(1, (1, inner))
            layers: list[nn.Module] = []
            for i in range(config.num_layers):
                layers += [nn.Linear(inner if i == 0 else size, size), nn.ReLU()]
                layers += [nn.Dropout(config.dropout)]
            self.body = nn.Sequential(*layers)
            self.output = nn.Linear(size, config.num_outputs)
        # From what is learnt to what is told: the unit of a number, how sure a label is.
        self.register_buffer("scale", torch.ones(config.num_outputs))
        self.register_buffer("shift", torch.zeros(config.num_outputs))

    def forward(self, numbers: Tensor | None = None, categories: Tensor | None = None) -> Tensor:
        """(rows, N) and (rows, C) -> (rows, members, outputs)"""
        parts: list[Tensor] = []
        if numbers is not None and self.config.num_numbers:
            parts.append(numbers if self.numbers is None else self.numbers(numbers).flatten(1))
        if categories is not None:
            parts += [one(categories[:, i]) for i, one in enumerate(self.categories)]
        return self.output(self.body(self.view(torch.cat(parts, dim=1))))

    def told(self, members: Tensor) -> Tensor:
        """(rows, members, outputs) -> the logits of their mean, scaled and shifted."""
        count = math.log(members.shape[1])
        if self.config.mean == "softmax":
            found = functional.log_softmax(members, -1).logsumexp(1) - count
        elif self.config.mean == "sigmoid":
            there = functional.logsigmoid(members).logsumexp(1)
            found = there - functional.logsigmoid(-members).logsumexp(1)
        else:
            found = members.mean(1)
        return found * self.scale + self.shift


def bins_of(numbers: NDArray[np.floating[Any]], most: int) -> list[NDArray[np.float64]]:
    """For each number of the training the ends of `most` pieces, each with as many rows.

    >>> bins_of(np.arange(5.0)[:, None], 2)[0].tolist()
    [0.0, 2.0, 4.0]
    """
    shares = np.linspace(0, 1, most + 1)
    found: list[NDArray[np.float64]] = []
    for i in range(numbers.shape[1]):
        ends: list[float] = []
        for end in np.quantile(numbers[:, i].astype(np.float64), shares).tolist():
            if not ends or end >= ends[-1] + NARROWEST:
                ends.append(end)
        found.append(np.array(ends) if len(ends) > 1 else ends[0] + np.array([-0.5, 0.5]))
    return found


class _Quick(LinearBatchEnsemble):
    """The same with products of oneDNN, twice as fast as those of MKL on AMD's processors."""

    def forward(self, x: Tensor) -> Tensor:
        found = products.linear(x * self.r, self.weight) * self.s
        return found if self.bias is None else found + self.bias


def _embedding(size: int, most: int) -> nn.Embedding:
    """Of few levels each begins as a number of its own; those never seen tell nothing."""
    made = nn.Embedding(size, min(size, most))
    with torch.no_grad():
        if size <= most:
            nn.init.eye_(made.weight)
        else:
            nn.init.normal_(made.weight, std=most**-0.5)
        made.weight[:2] = 0
    return made
