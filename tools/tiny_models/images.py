"""Transformers that read pictures, each with the image processor that its family has."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE
from tools.tiny_models import TEXT, labels, randomise
from tools.tiny_models.encoders import framed, unigram
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPForImageClassification,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    CLIPTokenizerFast,
    CLIPVisionConfig,
    CLIPVisionModel,
    DeiTConfig,
    DeiTForImageClassification,
    DeiTForImageClassificationWithTeacher,
    DeiTImageProcessor,
    DeiTModel,
    Dinov2Config,
    Dinov2ForImageClassification,
    Dinov2Model,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipForImageClassification,
    SiglipImageProcessor,
    SiglipModel,
    SiglipProcessor,
    SwinConfig,
    SwinForImageClassification,
    SwinModel,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    ViTModel,
)

Made = tuple[PreTrainedModel, Any, str]
"""A network, what makes its inputs, and the size of a shard."""

ANIMALS = labels("cat", "dog", "horse", "tuxedo penguin", "fire engine")
SMALL = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 36,
    "image_size": 24,
    "patch_size": 8,
}
SIDE = {"height": 24, "width": 24}


def made(kind: Any, config: Any, seed: int, processor: Any) -> Made:
    return randomise(kind(config), seed), processor, "5GB"


# Transformers.


def vit(kind: Any, seed: int, **changes: Any) -> Made:
    size = changes.get("image_size", 24)
    height, width = size if isinstance(size, list) else (size, size)
    processor = ViTImageProcessor(size={"height": height, "width": width})
    return made(kind, ViTConfig(**(SMALL | changes)), seed, processor)


def deit(kind: Any, seed: int, **changes: Any) -> Made:
    processor = DeiTImageProcessor(size={"height": 28, "width": 28}, crop_size=SIDE)
    return made(kind, DeiTConfig(**(SMALL | changes)), seed, processor)


def dinov2(kind: Any, seed: int, **changes: Any) -> Made:
    """It has learnt places on larger pictures than its processor gives."""
    settings = {key: value for key, value in SMALL.items() if key != "intermediate_size"}
    settings |= {"image_size": 40, "mlp_ratio": 2, "layerscale_value": 0.5}
    processor = BitImageProcessor(size={"shortest_edge": 28}, crop_size=SIDE)
    return made(kind, Dinov2Config(**(settings | changes)), seed, processor)


def swin(kind: Any, seed: int, **changes: Any) -> Made:
    settings = {
        "image_size": 24,
        "patch_size": 2,
        "embed_dim": 12,
        "depths": [2, 2],
        "num_heads": [2, 4],
        "window_size": 3,
        "mlp_ratio": 2.0,
    }
    config = SwinConfig(**(settings | changes))
    side = {"height": config.image_size, "width": config.image_size}
    return made(kind, config, seed, ViTImageProcessor(size=side))


# Pictures beside texts.


def clip_tokenizer(folder: Path) -> CLIPTokenizerFast:
    folder.mkdir(parents=True, exist_ok=True)
    trained = Tokenizer(BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    trained.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trained.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=200, end_of_word_suffix="</w>", show_progress=False, special_tokens=[]
    )
    trained.train_from_iterator([line for line in TEXT.splitlines() if line.isascii()], trainer)
    trained.add_special_tokens(["<|startoftext|>", "<|endoftext|>"])
    trained.model.save(str(folder))
    words = trained.get_vocab()
    (folder / "vocab.json").write_text(json.dumps(words, ensure_ascii=False), encoding="utf-8")
    return CLIPTokenizerFast(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        model_max_length=32,
    )


def text_and_picture(words: int, **more: Any) -> dict[str, Any]:
    text = {"hidden_size": 16, "num_attention_heads": 2, "vocab_size": words}
    text |= {"num_hidden_layers": 1, "intermediate_size": 24}
    return {
        "text_config": text | more,
        "vision_config": SMALL | {"num_hidden_layers": 1, "intermediate_size": 20},
    }


def clip(kind: Any, seed: int, scratch: Path, *, old_end: bool = False, **changes: Any) -> Made:
    """`old_end` names the end of a text as the first checkpoints do."""
    words = clip_tokenizer(scratch / "clip")
    ids = {"bos_token_id": words.bos_token_id, "pad_token_id": words.pad_token_id}
    ids["eos_token_id"] = 2 if old_end else words.eos_token_id
    settings = text_and_picture(len(words), max_position_embeddings=32, **ids)
    config = CLIPConfig(**(settings | {"projection_dim": 20} | changes))
    pictures = CLIPImageProcessor(size={"shortest_edge": 24}, crop_size=SIDE)
    return made(kind, config, seed, CLIPProcessor(pictures, words))


def clip_vision(seed: int) -> Made:
    pictures = CLIPImageProcessor(size={"shortest_edge": 24}, crop_size=SIDE)
    return made(CLIPVisionModel, CLIPVisionConfig(**SMALL), seed, pictures)


def siglip_tokenizer() -> PreTrainedTokenizerFast:
    words = framed(
        unigram(["<pad>", "</s>", "<unk>"], True, 160), "$A </s>", "$A $B </s>", ("</s>",) * 2
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=words,
        model_max_length=64,
        model_input_names=["input_ids"],
        pad_token="</s>",
        eos_token="</s>",
        unk_token="<unk>",
    )


def siglip(kind: Any, seed: int, **changes: Any) -> Made:
    words = siglip_tokenizer()
    settings = text_and_picture(len(words), hidden_size=24, num_attention_heads=4)
    config = SiglipConfig(**(settings | changes))
    processor = SiglipProcessor(SiglipImageProcessor(size=SIDE), words)
    return made(kind, config, seed, processor)


def makers(scratch: Path) -> dict[str, Callable[[], Made]]:
    """What makes each model, by the name of its folder."""
    rectangle = {"image_size": [16, 27], "patch_size": [8, 6]}
    bare = {"qkv_bias": False, "hidden_act": "gelu_new", "layer_norm_eps": 1e-3}
    gated = {"use_swiglu_ffn": True, "image_size": 24, "num_channels": 1}
    uneven = {"image_size": 22, "patch_size": 2, "depths": [2, 2, 2], "num_heads": [1, 2, 4]}
    uneven |= {"embed_dim": 6, "window_size": 2, "qkv_bias": False}
    return {
        "vit-base": lambda: vit(ViTModel, 201),
        "vit-image": lambda: vit(ViTForImageClassification, 202, **ANIMALS),
        "vit-image-rectangle": lambda: vit(
            ViTForImageClassification, 203, **rectangle, **bare, **ANIMALS
        ),
        "deit-base": lambda: deit(DeiTModel, 204),
        "deit-image": lambda: deit(DeiTForImageClassification, 205, **ANIMALS),
        "deit-image-taught": lambda: deit(DeiTForImageClassificationWithTeacher, 206, **ANIMALS),
        "dinov2-base": lambda: dinov2(Dinov2Model, 207),
        "dinov2-image": lambda: dinov2(Dinov2ForImageClassification, 208, **ANIMALS),
        "dinov2-gated": lambda: dinov2(Dinov2Model, 209, **gated),
        "swin-base": lambda: swin(SwinModel, 210),
        "swin-image": lambda: swin(SwinForImageClassification, 211, **ANIMALS),
        "swin-uneven": lambda: swin(SwinModel, 212, **uneven),
        "clip-base": lambda: clip(CLIPModel, 213, scratch),
        "clip-old-end": lambda: clip(CLIPModel, 214, scratch, old_end=True),
        "clip-image": lambda: clip(CLIPForImageClassification, 215, scratch, **ANIMALS),
        "clip-vision": lambda: clip_vision(216),
        "siglip-base": lambda: siglip(SiglipModel, 217),
        "siglip-image": lambda: siglip(SiglipForImageClassification, 218, **ANIMALS),
    }


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its processor and how it is saved."""
    return {name: make() for name, make in makers(scratch).items()}
