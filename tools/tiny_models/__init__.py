"""What the tiny random models are made of; each other file makes the models of a group of families.

Such a file has `models(scratch)`, which gives folder names with a network, a tokenizer and the size
of a shard. The text is what tokenizers are trained on.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from tokenizers import normalizers, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

Made = tuple[PreTrainedModel, PreTrainedTokenizerBase, str]

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


def labels(*names: str) -> dict:
    return {
        "num_labels": len(names),
        "id2label": dict(enumerate(names)),
        "label2id": {name: index for index, name in enumerate(names)},
    }
