"""Makes the tiny random models of tests/models.

Real architectures, saved by transformers' own classes, with real kinds of tokenizers trained on the
text below. Nothing is downloaded. Run it where transformers 4.57 and torch are installed:

    python tools/make_tiny_models.py [name ...]

The weights are random but large, and biases and LayerNorms are random too: in a freshly initialised
network they are 0 and 1, and a graph that forgot them would go unnoticed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections import Counter
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"

import torch
from tokenizers import ByteLevelBPETokenizer, normalizers, pre_tokenizers
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
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

MODELS = Path(__file__).resolve().parent.parent / "tests" / "models"

TEXT = """\
The lighthouse keeper climbed the narrow stairs every evening before the sun went down.
She carried a small lamp, a bottle of oil and the letter that her brother had written.
Nobody in the village knew why the light had failed on the night of the great storm.
The old man said that the sea takes what it wants and gives nothing back.
In the morning the boats were found on the northern beach, empty and dry.
A good film should be short, a bad film should be shorter, and a great film is never too long.
I loved this movie: the story was warm, the actors were wonderful and the music was perfect.
I hated the food, the waiter was rude, and the coffee tasted like water.
The weather in Berlin is cold in January, but the museums are open and the trains are on time.
My name is Clara and I live in Hamburg with two cats and a very noisy parrot.
Where do you live? What is your name? When did the train leave? Who wrote the letter?
The capital of Korea is Seoul. The capital of France is Paris. The capital of Japan is Tokyo.
The company was founded in 1987 by three engineers who had met at the university.
It makes pumps, valves and sensors, and it sold 12,500 of them in the year 2021.
Water boils at 100 degrees and freezes at 0 degrees; salt changes both of these numbers.
The children were running around the garden, laughing and shouting, until it began to rain.
Please tell me a story about a dragon who was afraid of the dark.
Once upon a time there was a dragon that lived in a cave under the mountain.
The teacher asked a question, and the students answered it one after another.
You are a helpful assistant. The user asks and the assistant answers.
The price of the ticket is 25 dollars; it's cheaper for children and students.
The engine wouldn't start, so they walked back to the station and waited for help.
There is no reason to be unhappy about the result, the team played better than before.
An unbelievable, unforgettable, extraordinarily beautiful performance!
This product is terrible, it broke after two days and nobody answered my emails.
등대지기는 매일 저녁 좁은 계단을 올라갔다.
한국의 수도는 서울이다. 서울에는 한강이 흐른다.
이 영화는 정말 재미있고 음악도 좋았다.
나는 부산에서 태어나서 서울에서 살고 있다.
날씨가 추워서 우리는 집에서 책을 읽었다.
그 학생은 질문에 대답했다.
"""

CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)


def wordpiece(lower: bool, size: int = 300) -> dict[str, int]:
    """Gives a WordPiece vocabulary: characters, then the most frequent words, heads and tails.

    Counted here rather than by the WordPiece trainer, whose result varies from run to run.
    """
    normalizer = normalizers.BertNormalizer(lowercase=lower)
    splitter = pre_tokenizers.BertPreTokenizer()
    words = [word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(TEXT))]
    characters, pieces = Counter(), Counter()
    for word in words:
        for index, character in enumerate(word):
            characters["##" + character if index else character] += 1
        if len(word) > 1:
            pieces[word] += 2
        for length in range(2, min(5, len(word))):
            pieces[word[:length]] += 1
            pieces["##" + word[-length:]] += 1
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # A rare Korean syllable is left out on purpose: there must be something unknown.
    alphabet = sorted(piece for piece, n in characters.items() if n > 1 or piece.isascii())
    ranked = sorted(pieces, key=lambda piece: (-pieces[piece], piece))
    ordered = special + alphabet + ranked[: size - len(special) - len(alphabet)]
    return {piece: index for index, piece in enumerate(ordered)}


def write_vocab(folder: Path, vocab: dict[str, int]) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vocab.txt"
    path.write_text("".join(f"{piece}\n" for piece in vocab), encoding="utf-8")
    return str(path)


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


def randomise(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Fills every trainable weight with large numbers, from the seed and the weight's own order."""
    generator = torch.Generator().manual_seed(seed)
    # Bytes that are no printable text are made unlikely, so that what GPT-2 writes can be read.
    quiet = [index for index in range(94, 256) if index not in (198, 220)]  # all but \n and space
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if not weight.requires_grad:  # sinusoids stay what they are
                continue
            noise = torch.randn(weight.shape, generator=generator)
            leaf = name.lower()
            if weight.ndim == 1:
                norm = "norm" in leaf or ".ln_" in leaf
                weight.copy_(1 + 0.25 * noise if norm and leaf.endswith("weight") else 0.2 * noise)
            elif "embed" in leaf or "wte" in leaf or "wpe" in leaf:
                weight.copy_(0.5 * noise)
                if "wte" in leaf:
                    weight[quiet] *= 0.35
            elif leaf == "lm_head.weight":
                weight.copy_(0.5 * noise)
                weight[quiet] *= 0.35
            else:
                weight.copy_(0.4 * noise)
    return model.eval()


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


def labels(*names: str) -> dict:
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }


def build(scratch: Path) -> dict[str, tuple]:
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
    models: dict[str, tuple] = {}

    def add(name, seed, kind, config, tokenizer, generation=None, half=False, shard="5GB", **keys):
        model = randomise(kind(config, **keys), seed)
        if generation:
            model.generation_config.update(**generation)
        models[name] = (model.half() if half else model, tokenizer, shard)

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
    return models


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    wanted = sys.argv[1:]
    scratch = MODELS / ".scratch"
    for name, (model, tokenizer, shard) in build(scratch).items():
        if wanted and name not in wanted:
            continue
        folder = MODELS / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder, max_shard_size=shard)
        tokenizer.save_pretrained(folder)
        for path in folder.iterdir():
            path.chmod(0o644)
        size = sum(path.stat().st_size for path in folder.iterdir())
        print(f"{name:28} {size / 1000:7.1f} KB")
    shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
