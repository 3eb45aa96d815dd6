"""BERT, DistilBERT and GPT-2, in every form that the pipelines meet."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer
from tools.tiny_models import TEXT, Made, labels, randomise, wordpiece, write_vocab
from transformers import (
    AddedToken,
    BertConfig,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertModel,
    BertTokenizerFast,
    DistilBertConfig,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertModel,
    DistilBertTokenizerFast,
    GPT2Config,
    GPT2ForQuestionAnswering,
    GPT2ForSequenceClassification,
    GPT2LMHeadModel,
    GPT2Model,
    GPT2TokenizerFast,
    PreTrainedTokenizerFast,
)

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def bert_tokenizer(scratch: Path) -> PreTrainedTokenizerFast:
    path = write_vocab(scratch / "bert", wordpiece(lower=True))
    return BertTokenizerFast(vocab_file=path, do_lower_case=True, model_max_length=128)


def distilbert_tokenizer(scratch: Path) -> PreTrainedTokenizerFast:
    path = write_vocab(scratch / "distilbert", wordpiece(lower=False))
    return DistilBertTokenizerFast(vocab_file=path, do_lower_case=False, model_max_length=128)


def gpt2_tokenizer(scratch: Path, *, pad: bool = False, chat: bool = False, longest: int = 128):
    folder = scratch / "gpt2"
    folder.mkdir(parents=True, exist_ok=True)
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXT.splitlines(), vocab_size=319, show_progress=False)
    trained.save_model(str(folder))
    vocab = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    vocab["<|endoftext|>"] = len(vocab)  # the last one, as in the real GPT-2
    (folder / "vocab.json").write_text(json.dumps(vocab, ensure_ascii=False), encoding="utf-8")
    tokenizer = GPT2TokenizerFast(
        vocab_file=str(folder / "vocab.json"),
        merges_file=str(folder / "merges.txt"),
        model_max_length=longest,
    )
    if pad or chat:
        tokenizer.pad_token = "<|endoftext|>"
    if chat:
        names = ["<|im_start|>", "<|im_end|>"]
        tokenizer.add_special_tokens(
            {
                "additional_special_tokens": [AddedToken(name, special=True) for name in names],
                "eos_token": "<|im_end|>",
            }
        )
        tokenizer.chat_template = CHAT_TEMPLATE
        tokenizer.padding_side = "left"
    return tokenizer


def bert_config(vocab: int, **changes) -> BertConfig:
    settings = {
        "vocab_size": vocab,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 128,
        "initializer_range": 0.4,
    }
    return BertConfig(**(settings | changes))


def distilbert_config(vocab: int, **changes) -> DistilBertConfig:
    settings = {
        "vocab_size": vocab,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 40,
        "max_position_embeddings": 128,
        "initializer_range": 0.4,
    }
    return DistilBertConfig(**(settings | changes))


def gpt2_config(vocab: int, **changes) -> GPT2Config:
    settings = {
        "vocab_size": vocab,
        "n_embd": 32,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 128,
        "initializer_range": 0.4,
        "bos_token_id": 319,
        "eos_token_id": 319,
    }
    return GPT2Config(**(settings | changes))


def models(scratch: Path) -> dict[str, Made]:
    """Maps each folder's name to its network, its tokenizer and how it is saved."""
    bert, distil = bert_tokenizer(scratch), distilbert_tokenizer(scratch)
    gpt_long = gpt2_tokenizer(scratch, longest=320)
    gpt, padded = gpt2_tokenizer(scratch), gpt2_tokenizer(scratch, pad=True)
    chat = gpt2_tokenizer(scratch, chat=True)
    nb, nd, ng, nc = len(bert), len(distil), len(gpt), len(chat)
    emotions = labels("sadness", "joy", "anger")
    topics = labels("sport", "politics", "science", "music")
    polarity = labels("NEGATIVE", "POSITIVE")
    shallow = {"num_hidden_layers": 1, "num_labels": 3}
    sampling = {"text-generation": {"do_sample": True, "max_length": 50}}
    made: dict[str, Made] = {}

    def add(name, seed, kind, config, tokenizer, generation=None, half=False, shard="5GB", **keys):
        model = randomise(kind(config, **keys), seed)
        if generation:
            model.generation_config.update(**generation)
        made[name] = (model.half() if half else model, tokenizer, shard)

    def bert_classifier(name, seed, **changes):
        add(name, seed, BertForSequenceClassification, bert_config(nb, **changes), bert)

    bert_classifier("bert-sequence", 1, **emotions)
    bert_classifier(
        "bert-sequence-regression", 2, problem_type="regression", num_hidden_layers=1, num_labels=1
    )
    bert_classifier(
        "bert-sequence-multilabel",
        3,
        problem_type="multi_label_classification",
        num_hidden_layers=1,
        **topics,
    )
    bert_classifier("bert-sequence-one-label", 4, num_hidden_layers=1, num_labels=1)
    bert_classifier("bert-gelu-new", 5, hidden_act="gelu_new", layer_norm_eps=1e-5, **shallow)
    bert_classifier("bert-relu", 6, hidden_act="relu", layer_norm_eps=1e-3, **shallow)
    add("bert-qa", 47, BertForQuestionAnswering, bert_config(nb), bert)
    add("bert-base", 8, BertModel, bert_config(nb), bert)
    add("bert-base-nopool", 8, BertModel, bert_config(nb), bert, add_pooling_layer=False)
    sharded = bert_config(nb, **emotions)
    add("bert-sharded", 1, BertForSequenceClassification, sharded, bert, shard="40KB")
    halved = bert_config(nb, **emotions)
    add("bert-float16", 1, BertForSequenceClassification, halved, bert, half=True)

    classify = DistilBertForSequenceClassification
    add("distilbert-sequence", 11, classify, distilbert_config(nd, **polarity), distil)
    add("distilbert-qa", 12, DistilBertForQuestionAnswering, distilbert_config(nd), distil)
    add("distilbert-base", 13, DistilBertModel, distilbert_config(nd), distil)
    sinusoids = distilbert_config(nd, sinusoidal_pos_embds=True)
    add("distilbert-sinusoidal", 14, DistilBertModel, sinusoids, distil)
    relu = distilbert_config(nd, activation="relu", **polarity)
    add("distilbert-relu", 15, classify, relu, distil)

    plain = gpt2_config(ng, task_specific_params=sampling)
    add("gpt2-lm", 21, GPT2LMHeadModel, plain, gpt)
    settings = {
        "max_length": 30,
        "do_sample": False,
        "repetition_penalty": 1.3,
        "no_repeat_ngram_size": 3,
    }
    add("gpt2-lm-generation", 21, GPT2LMHeadModel, gpt2_config(ng), gpt, generation=settings)
    # 320 positions: the pipeline's own 256 new tokens must fit, to see what wins over them.
    wanted = {"do_sample": False, "max_length": 50, "num_beams": 2, "prefix": "Once upon a time "}
    small = {"n_layer": 1, "n_inner": 48, "n_positions": 320}
    task = gpt2_config(ng, **small, task_specific_params={"text-generation": wanted})
    settings = {"max_new_tokens": 8, "no_repeat_ngram_size": 2}
    add("gpt2-lm-task", 22, GPT2LMHeadModel, task, gpt_long, generation=settings)
    talk = gpt2_config(nc, n_inner=48, bos_token_id=319, eos_token_id=321, pad_token_id=319)
    add("gpt2-chat", 23, GPT2LMHeadModel, talk, chat)
    classifier = gpt2_config(ng, n_inner=48, pad_token_id=319, **emotions)
    add("gpt2-sequence", 24, GPT2ForSequenceClassification, classifier, padded)
    add("gpt2-qa", 25, GPT2ForQuestionAnswering, gpt2_config(ng, n_inner=48), padded)
    add("gpt2-base", 26, GPT2Model, gpt2_config(ng, n_inner=48), padded)
    scaled = gpt2_config(ng, n_inner=48, scale_attn_by_inverse_layer_idx=True)
    add("gpt2-scaled-by-layer", 27, GPT2LMHeadModel, scaled, gpt)
    wide = gpt2_config(
        ng, n_layer=1, n_inner=80, activation_function="relu", layer_norm_epsilon=1e-3
    )
    add("gpt2-inner", 38, GPT2LMHeadModel, wide, gpt)
    untied = gpt2_config(ng, n_layer=1, n_inner=48, tie_word_embeddings=False)
    add("gpt2-untied", 29, GPT2LMHeadModel, untied, gpt)
    return made
