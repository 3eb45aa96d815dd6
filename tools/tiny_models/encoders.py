"""RoBERTa and its kin, ELECTRA, MPNet and ALBERT, with every head that the library has for them."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from tokenizers import (
    ByteLevelBPETokenizer,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import Unigram
from tools.tiny_models import TEXT, Made, labels, randomise, wordpiece, write_vocab
from transformers import (
    AlbertConfig,
    AlbertForMaskedLM,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
    AlbertModel,
    AlbertTokenizerFast,
    CamembertConfig,
    CamembertForMaskedLM,
    CamembertForQuestionAnswering,
    CamembertForSequenceClassification,
    CamembertForTokenClassification,
    CamembertModel,
    CamembertTokenizerFast,
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
    ElectraTokenizerFast,
    MPNetConfig,
    MPNetForMaskedLM,
    MPNetForQuestionAnswering,
    MPNetForSequenceClassification,
    MPNetForTokenClassification,
    MPNetModel,
    MPNetTokenizerFast,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
    RobertaTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForMaskedLM,
    XLMRobertaForQuestionAnswering,
    XLMRobertaForSequenceClassification,
    XLMRobertaForTokenClassification,
    XLMRobertaModel,
    XLMRobertaTokenizerFast,
)

HEADS = ("base", "sequence", "qa", "tokens", "mask")
LONGEST = 96
"""Tokens that a model reads; far enough for the widest buckets of MPNet."""


def roberta_tokenizer(
    scratch: Path, kind: type[PreTrainedTokenizerFast] = RobertaTokenizerFast
) -> PreTrainedTokenizerFast:
    folder = scratch / "roberta"
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trained.train_from_iterator(
        TEXT.splitlines(), vocab_size=319, show_progress=False, special_tokens=special
    )
    trained.add_special_tokens(["<mask>"])
    trained.save_model(str(folder))
    return kind(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        model_max_length=LONGEST,
    )


def unigram(special: list[str], lower: bool, size: int = 300) -> Tokenizer:
    """Gives a SentencePiece kind of vocabulary: characters and the most frequent parts of words.

    Counted here, since the trainer's result varies from run to run.
    """
    text = TEXT.lower() if lower else TEXT
    counted: Counter[str] = Counter()
    for word in text.split():
        piece = f"▁{word}"
        counted.update(piece[i:j] for i in range(len(piece)) for j in range(i + 1, i + 7))
    single = sorted(piece for piece, n in counted.items() if len(piece) == 1 and n > 1)
    ranked = sorted(counted, key=lambda piece: (-counted[piece] * (len(piece) - 1), piece))
    chosen = single + [piece for piece in ranked if len(piece) > 1]
    chosen = chosen[: size - len(special)]
    total = sum(counted[piece] for piece in chosen)
    scored = [(name, 0.0) for name in special]
    scored += [(piece, round(math.log(counted[piece] / total), 4)) for piece in chosen]
    tokenizer = Tokenizer(Unigram(scored, special.index("<unk>"), byte_fallback=False))
    steps: list[Any] = [normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]
    if lower:
        steps.append(normalizers.Lowercase())
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def framed(tokenizer: Tokenizer, one: str, two: str, names: tuple[str, str]) -> Tokenizer:
    """Adds the special tokens that stand around one text and around two."""
    ids = [(name, tokenizer.token_to_id(name)) for name in names]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=one, pair=two, special_tokens=ids
    )
    return tokenizer


def xlm_roberta_tokenizer() -> PreTrainedTokenizerFast:
    made = unigram(["<s>", "<pad>", "</s>", "<unk>"], lower=False)
    made = framed(made, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ("<s>", "</s>"))
    return XLMRobertaTokenizerFast(tokenizer_object=made, model_max_length=LONGEST)


def camembert_tokenizer() -> PreTrainedTokenizerFast:
    unused = ["<s>NOTUSED", "<pad>", "</s>NOTUSED", "<unk>", "<unk>NOTUSED"]
    made = unigram([*unused, "<s>", "</s>"], lower=False)
    made = framed(made, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ("<s>", "</s>"))
    return CamembertTokenizerFast(tokenizer_object=made, model_max_length=LONGEST)


def albert_tokenizer() -> PreTrainedTokenizerFast:
    made = unigram(["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"], lower=True)
    pair = "[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"
    made = framed(made, "[CLS] $A [SEP]", pair, ("[CLS]", "[SEP]"))
    return AlbertTokenizerFast(tokenizer_object=made, model_max_length=LONGEST)


def electra_tokenizer(scratch: Path) -> PreTrainedTokenizerFast:
    # Cased, as that of KoELECTRA.
    path = write_vocab(scratch / "electra", wordpiece(lower=False))
    return ElectraTokenizerFast(vocab_file=path, do_lower_case=False, model_max_length=LONGEST)


def mpnet_tokenizer(scratch: Path) -> PreTrainedTokenizerFast:
    pieces = [piece for piece in wordpiece(lower=True) if piece[0] != "[" or len(piece) == 1]
    ordered = ["<s>", "<pad>", "</s>", "<unk>", "[UNK]", *pieces, "<mask>"]
    path = write_vocab(scratch / "mpnet", {piece: i for i, piece in enumerate(ordered)})
    return MPNetTokenizerFast(vocab_file=path, do_lower_case=True, model_max_length=LONGEST)


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    emotions = labels("sadness", "joy", "anger")
    entities = labels("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
    made: dict[str, Made] = {}

    def family(name, seed, config, tokenizer, kinds, dtype=None, **settings):
        """One network a head; what is in `settings` goes into config.json."""
        sizes = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 40,
        }
        ends = {"sequence": emotions, "tokens": entities}
        for i, (head, kind) in enumerate(zip(HEADS, kinds, strict=True)):
            add(
                f"{name}-{head}",
                seed + i,
                kind,
                config(**sizes | settings | ends.get(head, {})),
                tokenizer,
                dtype,
            )

    def add(name, seed, kind, config, tokenizer, dtype=None, shard="5GB"):
        model = randomise(kind(config), seed)
        made[name] = (model.to(dtype) if dtype else model, tokenizer, shard)

    def changed(name, seed, like, kind=None, shard="5GB", **settings):
        """A network as another one, but for some settings."""
        model, tokenizer, _ = made[like]
        config = type(model.config)(**model.config.to_dict() | settings)
        add(name, seed, kind or type(model), config, tokenizer, shard=shard)

    untied = {"tie_word_embeddings": False, "num_hidden_layers": 1}
    after_padding = {"max_position_embeddings": LONGEST + 2}
    family(
        *("roberta", 101, RobertaConfig, roberta_tokenizer(scratch)),
        (
            RobertaModel,
            RobertaForSequenceClassification,
            RobertaForQuestionAnswering,
            RobertaForTokenClassification,
            RobertaForMaskedLM,
        ),
        **after_padding,
        type_vocab_size=1,
        layer_norm_eps=1e-5,
    )
    changed("roberta-mask-untied", 106, "roberta-mask", **untied)
    changed("roberta-segments", 107, "roberta-base", type_vocab_size=2, hidden_act="relu")
    family(
        *("xlm-roberta", 111, XLMRobertaConfig, xlm_roberta_tokenizer()),
        (
            XLMRobertaModel,
            XLMRobertaForSequenceClassification,
            XLMRobertaForQuestionAnswering,
            XLMRobertaForTokenClassification,
            XLMRobertaForMaskedLM,
        ),
        dtype=torch.float16,
        **after_padding,
        type_vocab_size=1,
    )
    family(
        *("camembert", 121, CamembertConfig, camembert_tokenizer()),
        (
            CamembertModel,
            CamembertForSequenceClassification,
            CamembertForQuestionAnswering,
            CamembertForTokenClassification,
            CamembertForMaskedLM,
        ),
        dtype=torch.bfloat16,
        **after_padding,
        type_vocab_size=1,
        bos_token_id=5,
        eos_token_id=6,
    )
    family(
        *("electra", 131, ElectraConfig, electra_tokenizer(scratch)),
        (
            ElectraModel,
            ElectraForSequenceClassification,
            ElectraForQuestionAnswering,
            ElectraForTokenClassification,
            ElectraForMaskedLM,
        ),
        max_position_embeddings=LONGEST,
        embedding_size=24,
    )
    changed("electra-wide", 136, "electra-sequence", embedding_size=32, shard="40KB")
    changed("electra-mask-untied", 137, "electra-mask", **untied)
    family(
        *("mpnet", 141, MPNetConfig, mpnet_tokenizer(scratch)),
        (
            MPNetModel,
            MPNetForSequenceClassification,
            MPNetForQuestionAnswering,
            MPNetForTokenClassification,
            MPNetForMaskedLM,
        ),
        **after_padding,
    )
    changed("mpnet-mask-untied", 146, "mpnet-mask", **untied)
    family(
        *("albert", 151, AlbertConfig, albert_tokenizer()),
        (
            AlbertModel,
            AlbertForSequenceClassification,
            AlbertForQuestionAnswering,
            AlbertForTokenClassification,
            AlbertForMaskedLM,
        ),
        max_position_embeddings=LONGEST,
        embedding_size=24,
        num_hidden_layers=3,
    )
    changed("albert-mask-untied", 156, "albert-mask", **untied)
    groups = {"num_hidden_layers": 5, "num_hidden_groups": 2, "inner_group_num": 2}
    groups |= {"hidden_size": 24, "hidden_act": "gelu"}
    changed("albert-groups", 157, "albert-sequence", **groups)
    return made
