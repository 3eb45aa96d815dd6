"""What makes training quick changes nothing that is computed, but for rounding and chance."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from silmu.networks import encoders, products

MODELS = Path(__file__).parents[1] / "models"


def gradients(network: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    network.zero_grad()
    x = x.detach().requires_grad_()
    network(x).square().sum().backward()
    assert x.grad is not None
    return [x.grad, *(p.grad for p in network.parameters() if p.grad is not None)]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 160), (3, 7, 160), (1, 160), (2, 0, 160)])
def test_products_and_their_gradients_are_those_of_torch(shape: Any, bias: bool) -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(160, 128, bias=bias), nn.Tanh(), nn.Linear(128, 128, bias=bias))
    quick = copy.deepcopy(plain)
    products.hasten(quick)
    assert type(quick[0]) is not nn.Linear
    x = torch.randn(shape)
    torch.testing.assert_close(quick(x), plain(x), rtol=1e-4, atol=1e-5)
    for found, expected in zip(gradients(quick, x), gradients(plain, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    assert quick.state_dict().keys() == plain.state_dict().keys()


def test_products_of_views_and_frozen_weights() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(128, 256), nn.Linear(256, 128))
    plain[0].weight.requires_grad_(False)
    quick = copy.deepcopy(plain)
    products.hasten(quick)
    x = torch.randn(128, 6, 2).permute(2, 1, 0)
    torch.testing.assert_close(quick(x), plain(x), rtol=1e-4, atol=1e-5)
    found, expected = gradients(quick, x), gradients(plain, x)
    assert len(found) == 4  # of the input, and of all but the frozen weight
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_half_precision_and_small_layers_stay_with_torch() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(160, 128), nn.Linear(128, 2))
    quick = copy.deepcopy(plain)
    products.hasten(quick)
    assert type(quick[1]) is nn.Linear
    x = torch.randn(4, 160)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quick(x), plain(x))
    assert torch.equal(quick.double()(x.double()), plain.double()(x.double()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_a_quick_dropout_drops_its_share_and_keeps_the_mean(p: float, dtype: torch.dtype) -> None:
    network = nn.Sequential(nn.Dropout(p))
    products.hasten(network)
    assert type(network[0]) is not nn.Dropout
    torch.manual_seed(0)
    x = torch.ones(101, 1003, dtype=dtype, requires_grad=True)
    found = network(x)
    kept = found != 0
    assert abs(1 - p - float(kept.float().mean())) < 5 * (p * (1 - p) / x.numel()) ** 0.5
    torch.testing.assert_close(
        found[kept], torch.full_like(found[kept], 1 / (1 - p)), rtol=1e-3, atol=0
    )
    # Neighbours come from one draw, and rows from many: neither knows of the other.
    for first, second in ((kept[:, :-1], kept[:, 1:]), (kept[:-1], kept[1:])):
        both = float((first & second).float().mean())
        assert abs(both - (1 - p) ** 2) < 0.01
    found.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, found.detach())


def test_a_quick_dropout_follows_the_seed_and_leaves_serving_alone() -> None:
    network = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0), nn.Dropout(1e-9))
    products.hasten(network)
    x = torch.randn(7, 5, 3).transpose(0, 2)
    outs: list[torch.Tensor] = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(network(x))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
    assert network(x[:0]).shape == (0, 5, 7)
    assert torch.equal(network.eval()(x), x)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["bert-sequence", "distilbert-sequence"])
def test_only_the_first_token_is_computed_where_only_it_is_read(name: str, attention: str) -> None:
    options: dict[str, Any] = {"attn_implementation": attention, "dtype": "float32"}
    plain = AutoModelForSequenceClassification.from_pretrained(MODELS / name, **options).eval()
    quick = copy.deepcopy(plain)
    assert encoders.read_first_token_only(quick)
    shapes: list[torch.Size] = []
    _last_layer(quick).register_forward_hook(lambda _m, _x, found: shapes.append(found.shape))
    ids = torch.randint(5, 200, (3, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[1, 4:] = 0
    outs = [network(input_ids=ids, attention_mask=mask).logits for network in (quick, plain)]
    torch.testing.assert_close(outs[0], outs[1], rtol=1e-4, atol=1e-5)
    assert shapes == [torch.Size((3, 1, 32))]
    for out in outs:
        out.square().sum().backward()
    for (key, one), other in zip(quick.named_parameters(), plain.parameters(), strict=True):
        if other.grad is not None:
            torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=key)


def _last_layer(network: Any) -> nn.Module:
    body = network.base_model
    return (body.encoder if hasattr(body, "encoder") else body.transformer).layer[-1]


def test_a_decoder_keeps_all_its_tokens() -> None:
    network = AutoModelForSequenceClassification.from_pretrained(MODELS / "gpt2-sequence")
    assert not encoders.read_first_token_only(network)


def test_what_would_change_the_logits_is_undone(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(layer: Any, states: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        return states[:, :1]

    monkeypatch.setattr(encoders, "_first_of_bert", wrong)
    network = AutoModelForSequenceClassification.from_pretrained(MODELS / "bert-sequence")
    assert not encoders.read_first_token_only(network)
    assert "forward" not in vars(_last_layer(network))
