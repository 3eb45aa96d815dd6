"""What transformers knows of a tokenizer by the name of its class, and no file says.

A folder often names only a class, such as `BertTokenizer`: which tokens begin and end a text, which
files hold the vocabulary and how they are read comes with the class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.runtime.folder import Folder

WORDS, BYTES, PIECES = "WordPiece", "byte-level BPE", "SentencePiece"
"""The kinds of vocabularies."""

ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
"""What a token can stand for, in the order in which transformers adds such tokens."""

_BERT = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
_ROBERTA = {
    **{"bos": "<s>", "eos": "</s>", "unk": "<unk>", "sep": "</s>", "pad": "<pad>"},
    **{"cls": "<s>", "mask": "<mask>"},
}
_LLAMA = {"bos": "<s>", "eos": "</s>", "unk": "<unk>"}
_GPT = {"bos": "<|endoftext|>", "eos": "<|endoftext|>", "unk": "<|endoftext|>"}


@dataclass(frozen=True)
class Family:
    """A class of tokenizers.

    Attributes:
        kind: WORDS, BYTES or PIECES, or "" for one that may be any.
        files: what holds the vocabulary: all of them are needed, but of PIECES the first found.
            None where only a tokenizer.json does.
        roles: the token of each role.
        around: what is put around one text, A, and around two, with type 1 as in `B:1`. Empty
            where settings decide, or nothing is put.
        normalized: the roles whose tokens are looked for in the text as it is normalised.
        lstrip: the roles whose tokens take in the spaces before them.
        settings: settings that hold where the folder says nothing.
        frames: whether add_bos_token and add_eos_token decide what is put around a text.
    """

    kind: str
    files: tuple[str, ...]
    roles: Mapping[str, str]
    around: tuple[str, str] = ("", "")
    normalized: tuple[str, ...] = ()
    lstrip: tuple[str, ...] = ("mask",)
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    frames: bool = False


_NO_TYPES = {"model_input_names": ["input_ids", "attention_mask"]}
_VOCABULARY = ("vocab.json", "merges.txt")
_CLS_SEP = ("cls A sep", "cls A sep B:1 sep:1")
_CLS_SEPS = ("cls A sep", "cls A sep sep B sep")


def _bert(**settings: Any) -> Family:
    settings = {"clean_up_tokenization_spaces": True, **settings}
    return Family(WORDS, ("vocab.txt",), _BERT, _CLS_SEP, lstrip=(), settings=settings)


_FAMILIES = {
    **dict.fromkeys(("Bert", "Electra", "ConvBert", "MobileBert", "SqueezeBert"), _bert()),
    "DistilBert": _bert(**_NO_TYPES),
    "MPNet": Family(
        WORDS,
        ("vocab.txt",),
        {**_ROBERTA, "unk": "[UNK]"},
        ("cls A sep", "cls A sep sep B:1 sep:1"),
        settings={**_NO_TYPES, "clean_up_tokenization_spaces": True},
    ),
    "GPT2": Family(BYTES, _VOCABULARY, _GPT, normalized=ROLES, settings=_NO_TYPES),
    "GPTNeoX": Family(BYTES, (), _GPT, settings=_NO_TYPES, frames=True),
    "Qwen2": Family(
        BYTES,
        _VOCABULARY,
        dict.fromkeys(("eos", "unk", "pad"), "<|endoftext|>"),
        settings=_NO_TYPES,
    ),
    "Roberta": Family(
        BYTES,
        _VOCABULARY,
        _ROBERTA,
        _CLS_SEPS,
        normalized=ROLES[:-1],
        settings=_NO_TYPES,
    ),
    **dict.fromkeys(
        ("Bart", "Longformer"),
        Family(
            BYTES,
            _VOCABULARY,
            _ROBERTA,
            _CLS_SEPS,
            normalized=ROLES,
            settings=_NO_TYPES,
        ),
    ),
    "Deberta": Family(
        BYTES,
        _VOCABULARY,
        {**_BERT, "bos": "[CLS]", "eos": "[SEP]"},
        _CLS_SEP,
        normalized=("mask",),
    ),
    "Albert": Family(
        PIECES,
        ("spiece.model",),
        {**_BERT, "bos": "[CLS]", "eos": "[SEP]", "unk": "<unk>", "pad": "<pad>"},
        _CLS_SEP,
    ),
    "XLMRoberta": Family(
        PIECES, ("sentencepiece.bpe.model",), _ROBERTA, _CLS_SEPS, settings=_NO_TYPES
    ),
    "Camembert": Family(
        PIECES,
        ("sentencepiece.bpe.model",),
        _ROBERTA,
        _CLS_SEPS,
        settings={
            **_NO_TYPES,
            "additional_special_tokens": ["<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED"],
        },
    ),
    "DebertaV2": Family(
        PIECES,
        ("spm.model",),
        {**_BERT, "bos": "[CLS]", "eos": "[SEP]"},
        _CLS_SEP,
        normalized=("unk",),
        lstrip=(),
    ),
    **dict.fromkeys(
        ("T5", "MT5"),
        Family(
            PIECES,
            ("spiece.model",),
            {"eos": "</s>", "unk": "<unk>", "pad": "<pad>"},
            ("A eos", "A eos B eos"),
            settings=_NO_TYPES,
        ),
    ),
    "Llama": Family(
        PIECES,
        ("tokenizer.model",),
        _LLAMA,
        settings={**_NO_TYPES, "padding_side": "left"},
        frames=True,
    ),
    "Gemma": Family(
        PIECES,
        ("tokenizer.model",),
        {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>"},
        settings={**_NO_TYPES, "padding_side": "left"},
        frames=True,
    ),
    # What transformers 5 calls a tokenizer of no class of its own, which 4 does not know.
    "TokenizersBackend": Family("", (), {}, settings=_NO_TYPES),
    # Its class is code that comes with each such model; what it does is done here.
    "KoBert": Family(
        PIECES,
        ("spiece.model", "tokenizer_78b3253a26.model"),
        {**_BERT, "bos": "[CLS]", "eos": "[SEP]"},
        _CLS_SEP,
        lstrip=(),
    ),
}
_SAME_CLASS = {"KoBERT": "KoBert"}

_CLASS_OF_MODEL = {
    **{"albert": "Albert", "bart": "Bart", "bert": "Bert", "camembert": "Camembert"},
    **{"convbert": "ConvBert", "deberta": "Deberta", "deberta-v2": "DebertaV2"},
    **{"distilbert": "DistilBert", "electra": "Electra", "gpt2": "GPT2", "gpt_neo": "GPT2"},
    **{"gpt_neox": "GPTNeoX", "gptj": "GPT2", "llama": "Llama", "longformer": "Longformer"},
    **{"mistral": "Llama", "mixtral": "Llama", "mobilebert": "MobileBert", "mpnet": "MPNet"},
    **{"mt5": "MT5", "opt": "GPT2", "qwen2": "Qwen2", "qwen2_moe": "Qwen2", "qwen3": "Qwen2"},
    **{"roberta": "Roberta", "squeezebert": "SqueezeBert", "t5": "T5", "umt5": "T5"},
    **{"xlm-roberta": "XLMRoberta", "xlm-roberta-xl": "XLMRoberta"},
    **{"gemma": "Gemma", "gemma2": "Gemma", "gemma3": "Gemma", "gemma3_text": "Gemma"},
}


def class_name(folder: Folder, settings: Mapping[str, Any]) -> str:
    """The class of a folder's tokenizer as transformers finds it, without `TokenizerFast`.

    It is empty where nothing tells.
    """
    given = settings.get("tokenizer_class")
    if not given and folder.has("config.json"):
        config = folder.optional_json("config.json")
        given = config.get("tokenizer_class")
        model_type = config.get("model_type")
        if not given and isinstance(model_type, str):
            return _CLASS_OF_MODEL.get(model_type, "")
    if not isinstance(given, str):
        return ""
    name = given.removesuffix("Fast").removesuffix("Tokenizer")
    return _SAME_CLASS.get(name, name)


def find(name: str) -> Family | None:
    """The family of a class, if it is known.

    >>> find("MPNet").around[1]
    'cls A sep sep B:1 sep:1'
    """
    return _FAMILIES.get(name)
