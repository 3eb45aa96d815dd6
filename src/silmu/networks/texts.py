"""Networks that learn to read texts from nothing: a perceptron, a CNN, RNNs and a Transformer.

All are wide and deep (Cheng et al. 2016, https://arxiv.org/abs/1606.07792). The wide part is a bag:
each n-gram of tokens has a weight for each output, which is what TF-IDF with logistic regression
learns, and their sum is added to what the deep part finds. The deep part sees a token as the sum of
its own vector and of those of the short n-grams that end at it. N-grams are looked up by a hash
that is computed from the ids, as in fastText (Joulin et al. 2016,
https://arxiv.org/abs/1607.01759), so nothing has to be counted or kept beforehand.

`silmu.graphs.silmu_text` builds the same network as an ONNX graph.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from silmu.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from silmu.steps.prepare.prepared import Prepared

KINDS = ("perceptron", "cnn", "rnn", "lstm", "gru", "transformer")
MODEL_TYPE = "silmu-text"
ARCHITECTURE = "SilmuTextForSequenceClassification"

HASH_FACTOR = 1_000_003_919
HASH_MODULUS = 2**31 - 1
"""A prime: products of two numbers below it stay within 64 bits."""

BAG_SCALE = 10.0
"""What weights of the bag are multiplied by, so that one learning rate suits both parts."""

RECURRENT = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@dataclass(frozen=True, kw_only=True)
class TextNetworkConfig:
    """The shape of a network, and how much of it is left out while it learns.

    Attributes:
        kind: one of KINDS.
        vocab_size: tokens of the tokenizer.
        num_outputs: logits; 1 for a number.
        embedding_size: numbers in the vector of a token.
        num_buckets: vectors that all n-grams of the deep part share; 0 for none.
        ngram_order: tokens of the longest of them.
        bag_buckets: weights for each output that all n-grams of the bag share; 0 for no bag.
        bag_order: tokens of the longest of these.
        hidden_size: numbers at each token inside: of a hidden layer, of each width of filter, of
            each direction, of the encoder.
        num_layers: layers of a recurrent network or an encoder.
        num_attention_heads: of each layer of the Transformer.
        intermediate_size: of each layer of the Transformer.
        filter_sizes: tokens that a filter of the CNN sees at once, one group of filters for each.
        dropout: of what the layers give.
        embedding_dropout: of the numbers that go into the layers.
        feature_dropout: of whole tokens and n-grams.
    """

    kind: str
    vocab_size: int
    num_outputs: int
    embedding_size: int = 64
    num_buckets: int = 1 << 16
    ngram_order: int = 2
    bag_buckets: int = 1 << 20
    bag_order: int = 5
    hidden_size: int = 128
    num_layers: int = 1
    num_attention_heads: int = 4
    intermediate_size: int = 256
    filter_sizes: tuple[int, ...] = (2, 3, 4, 5)
    dropout: float = 0.3
    embedding_dropout: float = 0.2
    feature_dropout: float = 0.2

    def __post_init__(self) -> None:
        _check_kind(self.kind)
        sizes = {f.name: getattr(self, f.name) for f in fields(self) if f.type == "int"}
        least = {"num_buckets": 0, "bag_buckets": 0}
        for name, value in [*sizes.items(), *(("filter_sizes", s) for s in self.filter_sizes)]:
            if value < least.get(name, 1):
                raise UsageError(f"{name} is {value}; it must be at least {least.get(name, 1)}")
        for name in ("dropout", "embedding_dropout", "feature_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1")
        if self.kind == "transformer" and self.hidden_size % (2 * self.num_attention_heads):
            raise UsageError(
                f"hidden_size is {self.hidden_size}, and num_attention_heads is "
                f"{self.num_attention_heads}; each head must get an even number"
            )

    def to_dict(self) -> dict[str, Any]:
        """What config.json holds of it."""
        own = asdict(self) | {"filter_sizes": list(self.filter_sizes)}
        return {"model_type": MODEL_TYPE, "architectures": [ARCHITECTURE], **own}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TextNetworkConfig:
        """A config from config.json, whatever else that holds."""
        names = {f.name for f in fields(cls)}
        own = {name: value for name, value in values.items() if name in names}
        if "filter_sizes" in own:
            own["filter_sizes"] = tuple(own["filter_sizes"])
        return cls(**own)


DEFAULTS: dict[str, Any] = {
    "embedding_size": 64,
    "num_buckets": 1 << 16,
    "ngram_order": 2,
    "bag_weights": 1 << 22,
    "bag_order": 5,
    "hidden_size": 128,
    "num_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "filter_sizes": (2, 3, 4, 5),
    "dropout": 0.5,
    "embedding_dropout": 0.3,
    "feature_dropout": 0.3,
    "epochs": 3,
    "batch_size": 64,
    "learning_rate": 1.5e-3,
    "weight_decay": 0.01,
    "warmup": 0.1,
    "schedule": "linear",
    "average": 0.999,
    "patience": None,
    "evaluations": 2,
    "label_smoothing": 0.0,
}
OF_KIND: dict[str, dict[str, Any]] = {
    "cnn": {"hidden_size": 96},
    "transformer": {
        "num_layers": 2,
        "learning_rate": 1e-3,
        "dropout": 0.2,
        "embedding_dropout": 0.1,
    },
}


def defaults(kind: str) -> dict[str, Any]:
    """The settings, of the network and of its training, that did best on what was measured.

    >>> defaults("gru")["batch_size"]
    64
    """
    _check_kind(kind)
    return {**DEFAULTS, **OF_KIND.get(kind, {})}


def build(kind: str, prepared: Prepared, settings: Mapping[str, Any]) -> TextNetwork:
    """The untrained network for a prepared data set, with settings as `defaults` has them."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(prepared.processor / "tokenizer.json"))
    outputs = len(prepared.labels) or 1
    sizes = {
        "kind": kind,
        "vocab_size": tokenizer.get_vocab_size(with_added_tokens=True),
        "num_outputs": outputs,
        # A power of two, so that as many weights are used for two labels as for thirty.
        "bag_buckets": 1 << (max(int(settings["bag_weights"]) // outputs, 1).bit_length() - 1),
    }
    return TextNetwork(TextNetworkConfig.from_dict({**settings, **sizes}))


class TextNetwork(nn.Module):
    """Token ids to logits.

    >>> config = TextNetworkConfig(kind="gru", vocab_size=100, num_outputs=2)
    >>> ids = torch.tensor([[5, 6, 7], [8, 0, 0]])
    >>> TextNetwork(config)(ids, (ids > 0).long()).shape
    torch.Size([2, 2])
    """

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.bag = Bag(config) if config.bag_buckets else None
        self.embeddings = Embeddings(config)
        self.dropout = nn.Dropout(config.dropout)
        self.body: Convolutions | Recurrence | Encoder | None = None
        if config.kind == "perceptron":
            self.hidden = nn.Linear(config.embedding_size, config.hidden_size)
            self.classifier = nn.Linear(config.hidden_size, config.num_outputs)
        else:
            self.body = BODIES[config.kind](config)
            self.classifier = nn.Linear(2 * self.body.size, config.num_outputs)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
    ) -> Tensor:
        """(rows, tokens) of ids, padded on the right, to (rows, outputs).

        The types of tokens are not read: a pair has a token between its texts that tells.
        """
        del token_type_ids
        mask = attention_mask.unsqueeze(-1).bool()
        count = attention_mask.sum(1, keepdim=True).to(self.classifier.weight.dtype)
        x = self.embeddings(input_ids) * mask
        if self.body is None:
            mean = self.dropout(x.sum(1) / count)
            found = torch.relu(self.hidden(mean))
        else:
            x = self.body(x, mask)
            mean = (x * mask).sum(1) / count
            found = torch.cat([mean, x.masked_fill(~mask, -math.inf).amax(1)], -1)
        logits = self.classifier(self.dropout(found))
        return logits if self.bag is None else logits + self.bag(input_ids, mask, count)


class Bag(nn.Module):
    """The sum of the weights of all n-grams; by the root of their number, as if of unit length."""

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.config = config
        # Of a million weights a batch uses a few thousand.
        self.weights = nn.Embedding(config.bag_buckets, config.num_outputs, sparse=True)
        nn.init.zeros_(self.weights.weight)

    def forward(self, ids: Tensor, mask: Tensor, count: Tensor) -> Tensor:
        """(rows, tokens) of ids -> (rows, outputs)."""
        config = self.config
        buckets = ngram_buckets(ids, config.bag_order, config.bag_buckets)
        some = left_out(self.weights(buckets), config.feature_dropout, self.training)
        total = (some.sum(2) * mask).sum(1)
        return total * (BAG_SCALE / (count * config.bag_order).sqrt())


class Embeddings(nn.Module):
    """(rows, tokens) of ids -> (rows, tokens, size)."""

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.ngrams: nn.Embedding | None = None
        if config.num_buckets and config.ngram_order > 1:
            self.ngrams = nn.Embedding(config.num_buckets, config.embedding_size, sparse=True)
            nn.init.normal_(self.ngrams.weight, std=0.02)

    def forward(self, ids: Tensor) -> Tensor:
        """The sum of what is looked up for each token."""
        config = self.config
        x = left_out(self.tokens(ids), config.feature_dropout, self.training)
        if self.ngrams is not None:
            buckets = ngram_buckets(ids, config.ngram_order, config.num_buckets)[..., 1:]
            some = left_out(self.ngrams(buckets), config.feature_dropout, self.training)
            x = x + some.sum(2)
        return x


def left_out(vectors: Tensor, share: float, training: bool) -> Tensor:
    """The vectors without those that chance leaves out while a network learns."""
    if not training or not share:
        return vectors
    kept = torch.rand(vectors.shape[:-1], device=vectors.device) >= share
    return vectors * (kept.to(vectors.dtype) / (1 - share)).unsqueeze(-1)


def ngram_buckets(ids: Tensor, order: int, num_buckets: int) -> Tensor:
    """The buckets of the n-grams of 1 to `order` tokens that end at each token: (..., order).

    >>> ngram_buckets(torch.tensor([[5, 6, 7]]), 3, 1000).shape
    torch.Size([1, 3, 3])
    """
    ids = ids + 1  # so that 0 is what stands before the text
    value, found = ids, [ids % num_buckets]
    for n in range(1, order):
        before = functional.pad(ids, (n, 0))[:, : ids.shape[1]]
        value = (value * HASH_FACTOR + before) % HASH_MODULUS
        found.append(value % num_buckets)
    return torch.stack(found, -1)


class Convolutions(nn.Module):
    """Filters of several widths at every token: Kim 2014, https://arxiv.org/abs/1408.5882."""

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.size = config.hidden_size * len(config.filter_sizes)
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.filters = nn.ModuleList(
            nn.Conv1d(config.embedding_size, config.hidden_size, width)
            for width in config.filter_sizes
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What each filter finds at each token: (rows, tokens, filters)."""
        del mask  # what stands after the text is zero already
        x = self.dropout(x).transpose(1, 2)
        found: list[Tensor] = []
        for one in self.filters:
            width = cast("nn.Conv1d", one).kernel_size[0]
            found.append(one(functional.pad(x, ((width - 1) // 2, width // 2))))
        return torch.relu(torch.cat(found, 1)).transpose(1, 2)


class Recurrence(nn.Module):
    """An RNN, LSTM or GRU in both directions.

    Hochreiter and Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; Cho et al. 2014,
    https://arxiv.org/abs/1406.1078.
    """

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.size = 2 * config.hidden_size
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.layers = RECURRENT[config.kind](
            config.embedding_size,
            config.hidden_size,
            config.num_layers,
            batch_first=True,
            bidirectional=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What both directions know at each token."""
        lengths = mask.sum((1, 2)).cpu()
        packed = pack_padded_sequence(
            self.dropout(x), lengths, batch_first=True, enforce_sorted=False
        )
        found, _ = self.layers(packed)
        return pad_packed_sequence(found, batch_first=True, total_length=x.shape[1])[0]


class Encoder(nn.Module):
    """A Transformer's encoder, normalised before each block, with sinusoids for places.

    Vaswani et al. 2017, https://arxiv.org/abs/1706.03762; Xiong et al. 2020,
    https://arxiv.org/abs/2002.04745.
    """

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        self.size = config.hidden_size
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.project = nn.Linear(config.embedding_size, config.hidden_size)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(config.hidden_size)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """What each token has come to mean."""
        found = self.project(x) * math.sqrt(self.size)  # or places would drown them
        x = self.dropout(found + places(x.shape[1], self.size, x))
        visible = mask.transpose(1, 2).unsqueeze(1)
        for layer in self.layers:
            x = layer(x, visible)
        return self.norm(x)


class Layer(nn.Module):
    """Attention and two linear layers, each added to what went in."""

    def __init__(self, config: TextNetworkConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.dropout = nn.Dropout(config.dropout)
        self.attention_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.attention_output = nn.Linear(size, size)
        self.output_norm = nn.LayerNorm(size)
        self.inner = nn.Linear(size, config.intermediate_size)
        self.output = nn.Linear(config.intermediate_size, size)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        """One layer more."""
        rows, tokens, size = x.shape
        parts = self.query_key_value(self.attention_norm(x))
        parts = parts.view(rows, tokens, 3, self.heads, size // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        mixed = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible)
        mixed = mixed.transpose(1, 2).reshape(rows, tokens, size)
        x = x + self.dropout(self.attention_output(mixed))
        wide = functional.gelu(self.inner(self.output_norm(x)))
        return x + self.dropout(self.output(wide))


def places(tokens: int, size: int, like: Tensor) -> Tensor:
    """(tokens, size): a half of sines and a half of cosines, of waves from short to long."""
    waves = torch.arange(size // 2, device=like.device) * (-math.log(10_000) * 2 / size)
    angles = torch.arange(tokens, device=like.device).unsqueeze(1) * waves.exp()
    return torch.cat([angles.sin(), angles.cos()], -1).to(like.dtype)


Body = type[Convolutions] | type[Recurrence] | type[Encoder]
BODIES: dict[str, Body] = {
    "cnn": Convolutions,
    "rnn": Recurrence,
    "lstm": Recurrence,
    "gru": Recurrence,
    "transformer": Encoder,
}


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise UnknownNameError(f"no network is called {kind!r}; there are {', '.join(KINDS)}")
