"""Networks that tell what an action is worth where it is taken: the critics of SAC.

Two that differ in how they began, of which the smaller is believed (Fujimoto et al. 2018,
https://arxiv.org/abs/1802.09477): one alone is believed most where it errs upwards.
"""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from silmu.networks.perceptrons import ACTIVATIONS

if TYPE_CHECKING:
    from silmu.networks.policies import PolicyConfig

WIDE = 256
"""From so many numbers in a layer oneDNN saves time."""


class Critics(nn.Module):
    """Observations on the scale on which they are read, and actions from -1 to 1, to values.

    Args:
        config: of the policy whose actions are judged; its layers are as many and as wide.
        count: how many critics there are.
    """

    def __init__(self, config: PolicyConfig, count: int = 2) -> None:
        super().__init__()
        sizes = [config.observation_size + config.num_outputs]
        sizes += [config.hidden_size] * config.num_layers
        self.quick = is_quick(config)
        self.critics = nn.ModuleList(_perceptron(sizes, config.activation) for _ in range(count))

    def forward(self, observations: Tensor, actions: Tensor) -> Tensor:
        """(rows, size) and (rows, size) -> (critics, rows)"""
        x = torch.cat([observations, actions], 1)
        return torch.cat([through(x, one, quick=self.quick) for one in self.critics], 1).T


def through(x: Tensor, *layers: nn.Module, quick: bool) -> Tensor:
    """What layers make of x, one after another.

    Args:
        x: (rows, size).
        layers: linear ones, and rectifiers between them.
        quick: whether oneDNN computes it, which on some processors multiplies matrices twice as
            fast as what torch takes by itself.
    """
    x = x.to_mkldnn() if quick else x
    for layer in layers:
        x = layer(x)
    return x.to_dense() if quick else x


def is_quick(config: PolicyConfig) -> bool:
    """Whether oneDNN computes a perceptron: it is there, knows the way back through it, and what it
    saves is more than the way there.
    """
    fits = config.activation == "relu" and config.hidden_size >= WIDE
    return fits and torch.backends.mkldnn.is_available()


def _perceptron(sizes: list[int], activation: str) -> nn.Sequential:
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise(sizes):
        layers += [nn.Linear(inner, outer), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], 1))
