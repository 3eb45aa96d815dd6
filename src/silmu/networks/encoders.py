"""What need not be computed to fine-tune an encoder that sorts texts by their first token."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

logger = logging.getLogger("silmu")


def read_first_token_only(network: nn.Module) -> bool:
    """Lets the last layer of an encoder give the first token alone, which is all its head reads.

    In that layer the other tokens matter only as keys and values, so five sixths of its work need
    not be done, forward and backward. Logits stay the same, which is tried on a small batch.

    Args:
        network: of transformers, with a head for sequences.

    Returns:
        Whether it is such an encoder: one whose layers are built as those of BERT (RoBERTa, ELECTRA
        and others) or DistilBERT. Others stay as they are.
    """
    body = getattr(network, str(getattr(network, "base_model_prefix", "")), None)
    for stack, parts, forward in (
        ("encoder", ("attention.self.query", "attention.output", "intermediate"), _first_of_bert),
        ("transformer", ("attention.q_lin", "sa_layer_norm", "ffn"), _first_of_distilbert),
    ):
        last: Any = next(
            iter(reversed(getattr(getattr(body, stack, None), "layer", None) or ())), None
        )
        if last is None or not {*parts} <= {name for name, _ in last.named_modules()}:
            continue
        before = _tried(network)
        last.forward = partial(forward, last)
        try:
            if torch.allclose(_tried(network), before, rtol=1e-3, atol=1e-4):
                return True
        except (RuntimeError, TypeError, AttributeError, IndexError) as error:
            logger.debug("the last layer computes all tokens: %s", error)
        del last.forward
    return False


@torch.inference_mode()
def _tried(network: nn.Module) -> Tensor:
    """What a network gives for two short rows, one of them padded."""
    place = next(network.parameters()).device
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]], device=place)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]], device=place)
    training = network.training
    found: Any = network.eval()(input_ids=ids, attention_mask=mask)
    network.train(training)
    return found.logits


def _first_of_bert(
    layer: Any, states: Tensor, mask: Tensor | None = None, *_: Any, **__: Any
) -> Tensor:
    own = layer.attention.self
    products = own.query(states[:, :1]), own.key(states), own.value(states)
    attended = _attend(products, mask, own.num_attention_heads, own.dropout.p, own.training)
    x = layer.attention.output(attended, states[:, :1])
    return layer.output(layer.intermediate(x), x)


def _first_of_distilbert(
    layer: Any, states: Tensor, mask: Tensor | None = None, *_: Any, **__: Any
) -> Tensor:
    own = layer.attention
    products = own.q_lin(states[:, :1]), own.k_lin(states), own.v_lin(states)
    attended = _attend(products, mask, own.n_heads, own.dropout.p, own.training)
    x = layer.sa_layer_norm(own.out_lin(attended) + states[:, :1])
    return layer.output_layer_norm(layer.ffn(x) + x)


def _attend(
    products: tuple[Tensor, Tensor, Tensor],
    mask: Tensor | None,
    heads: int,
    dropout: float,
    training: bool,
) -> Tensor:
    """Attention of the first token: queries of (rows, 1, hidden) -> the same."""
    query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in products)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        first = mask[:, :, :1]
        hidden = first.logical_not() if first.dtype == torch.bool else first < 0
        scores = scores.masked_fill(hidden, -math.inf)
    shares = functional.dropout(scores.softmax(-1), dropout, training)
    return (shares @ value).transpose(1, 2).flatten(2)
