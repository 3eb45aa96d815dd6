"""The pre-norm Transformer encoder that reads pictures cut into patches, and CLIP's texts.

Dosovitskiy et al. 2020, https://arxiv.org/abs/2010.11929: Vaswani's encoder with the normalisation
before each block, and what a block makes added to what it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from silmu.errors import InvalidModelError
from silmu.graphs import _images, _precision
from silmu.graphs._onnx import MICROSOFT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from silmu.graphs._builder import Graph
    from silmu.graphs._config import Config
    from silmu.graphs._onnx import Value


@dataclass(frozen=True, kw_only=True)
class Names:
    """What a family calls the parts of its layers in a checkpoint.

    Attributes:
        layers: the list of the layers, below the body; the others are below one of them.
        scales: the numbers by which LayerScale multiplies what each of the two blocks makes
            (Touvron et al. 2021, https://arxiv.org/abs/2103.17239).
        inner: the first layer of the feed-forward block. Where it gates, that is two matrices, one
            of which opens and shuts the other (SwiGLU: https://arxiv.org/abs/2002.05202).
        distances: the table of what is learnt of how far two places lie apart.
    """

    layers: str
    norm: str
    query: str
    key: str
    value: str
    mixed: str
    second_norm: str
    inner: tuple[str, ...]
    output: str
    scales: tuple[str, str] | None = None
    distances: str = ""


CLIP = Names(
    layers="encoder.layers",
    norm="layer_norm1",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    mixed="self_attn.out_proj",
    second_norm="layer_norm2",
    inner=("mlp.fc1",),
    output="mlp.fc2",
)


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """What all layers of an encoder have in common."""

    depth: int
    hidden: int
    intermediate: int
    heads: int
    activation: str
    epsilon: float
    qkv_bias: bool = True
    gates: bool = False

    @classmethod
    def of(
        cls,
        config: Config,
        *,
        hidden: int = 768,
        intermediate: int = 3072,
        heads: int = 12,
        activation: str = "gelu",
        epsilon: float,
    ) -> Sizes:
        """As config.json says them, with what a family takes for those that it leaves out."""
        size = config.size("hidden_size", default=hidden)
        return cls(
            depth=config.size("num_hidden_layers", default=12, most=1024),
            hidden=size,
            intermediate=config.size("intermediate_size", default=intermediate),
            heads=config.heads(size, "num_attention_heads", default=heads),
            activation=config.activation("hidden_act", activation),
            epsilon=config.number("layer_norm_eps", epsilon),
            qkv_bias=config.flag("qkv_bias", True),
        )


@dataclass(frozen=True)
class Tokens:
    """How the tokens of a batch lie one after another in a matrix, equally many of each row.

    `count` is their number in a row, or what gives it, of shape (1,), where it varies.
    """

    graph: Graph
    count: int | Value

    @property
    def axis(self) -> int | str:
        """What a shape says of them."""
        return self.count if isinstance(self.count, int) else "tokens"

    def fold(self, x: Value, size: int) -> Value:
        """(rows, tokens, size) -> (rows * tokens, size)."""
        return self.graph.node("Reshape", x, self.graph.constant([-1, size]))

    def unfold(self, x: Value, size: int) -> Value:
        """(rows * tokens, size) -> (rows, tokens, size)."""
        g = self.graph
        if isinstance(self.count, int):
            return g.node("Reshape", x, g.constant([-1, self.count, size]))
        shape = g.node("Concat", g.constant([-1]), self.count, g.constant([size]), axis=0)
        return g.node("Reshape", x, shape)

    def first(self, x: Value, number: int, size: int) -> Value:
        """(rows * tokens, size) -> (rows * number, size), of the first tokens of each row."""
        g = self.graph
        bounds = (g.constant([0]), g.constant([number]), g.constant([1]))
        return self.fold(g.node("Slice", self.unfold(x, size), *bounds), size)

    def mean(self, x: Value, size: int, start: int = 0) -> Value:
        """(rows * tokens, size) -> (rows, size), the mean of a row's tokens from that one on."""
        g, x = self.graph, self.unfold(x, size)
        if start:
            ends = g.constant([(1 << 31) - 1])
            x = g.node("Slice", x, g.constant([start]), ends, g.constant([1]))
        return g.node("ReduceMean", x, g.constant([1]), keepdims=0)


@dataclass(frozen=True)
class Encoder:
    """Layers one upon another.

    Args:
        graph: what the nodes are added to.
        prefix: what stands before the names of the body.
        names: what its parts are called; the first that the checkpoint has.
        sizes: what its layers have in common.
        tokens: how they lie.
        mask: which tokens may be read, (rows, tokens) int32; without it all.
        causal: whether each token sees only itself and those before it.
    """

    graph: Graph
    prefix: str
    names: tuple[Names, ...]
    sizes: Sizes
    tokens: Tokens
    mask: Value = ""
    causal: bool = False

    def build(self, x: Value, first: int = 0) -> Value:
        """(rows * tokens, hidden) -> the same, or (rows * first, hidden) of the first tokens.

        A classifier reads one token. In the last layer the others then matter only as keys and
        values, so five sixths of that layer's work need not be done for them.
        """
        g, size, tokens = self.graph, self.sizes.hidden, self.tokens
        names = self._spoken()
        shape: list[int | str] = ["rows", tokens.axis, size]
        if g.shows:
            g.show("layers.0.patches", tokens.unfold(x, size), shape)
        for i in range(self.sizes.depth):
            few = first if i == self.sizes.depth - 1 and not g.shows else 0
            x = self._layer(f"{self.prefix}{names.layers}.{i}", names, x, few)
            if g.shows:
                g.show(f"layers.{i + 1}.transformer", tokens.unfold(x, size), shape)
        return tokens.first(x, first, size) if first and g.shows else x

    def _spoken(self) -> Names:
        for names in self.names:
            if f"{self.prefix}{names.layers}.0.{names.mixed}.weight" in self.graph.weights:
                return names
        return self.names[0]

    def _layer(self, layer: str, names: Names, x: Value, first: int) -> Value:
        g, sizes, size = self.graph, self.sizes, self.sizes.hidden
        norm: dict[str, Any] = {"size": size, "epsilon": sizes.epsilon}
        normed = g.norm(x, f"{layer}.{names.norm}", **norm)
        attended = self._attend(layer, names, normed, first)
        if first:
            x = self.tokens.first(x, first, size)
        made = g.affine(attended, f"{layer}.{names.mixed}", inner=size, outer=size)
        x = self._add(x, made, layer, names, 0)
        normed = g.norm(x, f"{layer}.{names.second_norm}", **norm)
        wide, inner = sizes.intermediate, [f"{layer}.{name}" for name in names.inner]
        outer = 2 * wide if sizes.gates else wide
        widened = g.affine(normed, *inner, inner=size, outer=outer)
        lowest = None
        if sizes.gates:
            gate, content = g.split(widened, 2)
            widened = g.node("Mul", g.activate(sizes.activation, gate), content)
        else:
            widened = g.activate(sizes.activation, widened)
            lowest = _precision.LOWEST.get(sizes.activation)
        output = f"{layer}.{names.output}"
        made = g.affine(widened, output, inner=wide, outer=size, lowest=lowest)
        return self._add(x, made, layer, names, 1)

    def _add(self, x: Value, made: Value, layer: str, names: Names, block: int) -> Value:
        g = self.graph
        if names.scales:
            scale = g.weight(f"{layer}.{names.scales[block]}", shape=(self.sizes.hidden,))
            made = g.node("Mul", made, scale)
        return g.node("Add", made, x)

    def _attend(self, layer: str, names: Names, x: Value, first: int) -> Value:
        g, size, tokens = self.graph, self.sizes.hidden, self.tokens
        three = [f"{layer}.{name}" for name in (names.query, names.key, names.value)]
        bias = self.sizes.qkv_bias
        if first:
            few = tokens.first(x, first, size)
            query = g.affine(few, three[0], inner=size, outer=size, bias=bias)
            others = g.affine(x, *three[1:], inner=size, outer=2 * size, bias=bias)
            others = g.split(tokens.unfold(others, 2 * size), 2)
            projected = [Tokens(g, first).unfold(query, size), *others]
        else:
            together = g.affine(x, *three, inner=size, outer=3 * size, bias=bias)
            projected = g.split(tokens.unfold(together, 3 * size), 3)
        attended = g.node(
            "MultiHeadAttention",
            *projected,
            *(["", self.mask] if self.mask else []),
            domain=MICROSOFT,
            num_heads=self.sizes.heads,
            **({"unidirectional": 1} if self.causal else {}),
        )
        return tokens.fold(attended, size)


@dataclass(frozen=True)
class Frame:
    """Pictures of one size, and how they are cut into patches."""

    height: int
    width: int
    patch: tuple[int, int]
    channels: int

    @classmethod
    def of(cls, config: Config, *, picture: int = 224, patch: int = 16) -> Frame:
        """As config.json says it, with what a family takes for what it leaves out.

        Raises:
            InvalidModelError: a patch is larger than the picture.
        """
        height, width = config.pair("image_size", picture)
        sides = config.pair("patch_size", patch)
        if sides[0] > height or sides[1] > width:
            raise InvalidModelError(
                f"config.json of `{config.name}` has patches of {sides[0]} × {sides[1]} pixels, "
                f"which are larger than its pictures of {height} × {width}"
            )
        return cls(height, width, sides, config.size("num_channels", default=3, most=1024))

    @property
    def grid(self) -> tuple[int, int]:
        """How many patches there are down and across."""
        return self.height // self.patch[0], self.width // self.patch[1]

    @property
    def number(self) -> int:
        """How many patches there are."""
        return self.grid[0] * self.grid[1]

    def pixels(self, graph: Graph) -> Value:
        """Declares the pictures."""
        shape: list[int | str] = ["rows", self.channels, self.height, self.width]
        return graph.input("pixel_values", "float32", shape)

    def patches(self, graph: Graph, name: str, size: int, *, bias: bool = True) -> Value:
        """What the convolution of that name makes of each patch: (rows, patches, size)."""
        x = _images.patches(
            graph,
            self.pixels(graph),
            name,
            channels=self.channels,
            patch=self.patch,
            outer=size,
            grid=self.grid,
            bias=bias,
        )
        return Tokens(graph, self.number).unfold(x, size)


def lead(
    graph: Graph, x: Value, leading: NDArray[np.float32], number: int | Value
) -> tuple[Value, Tokens]:
    """Tokens that are the same for every picture, put before those of the picture.

    Args:
        graph: what the nodes are added to.
        x: (rows, number, size).
        leading: (tokens, size), their places added.
        number: of the picture's tokens, or what gives it, of shape (1,).

    Returns:
        All of them, (rows * tokens, size), and how they lie.
    """
    g, (count, size) = graph, leading.shape
    shape = g.node("Concat", g.node("Shape", x, start=0, end=1), g.constant([count, size]), axis=0)
    same = g.node("Expand", g.table("silmu.leading", leading[None]), shape)
    if isinstance(number, int):
        tokens = Tokens(g, count + number)
    else:
        tokens = Tokens(g, g.node("Add", number, g.constant([count])))
    return tokens.fold(g.node("Concat", same, x, axis=1), size), tokens


def vectors(
    graph: Graph, x: Value, tokens: Tokens, size: int, pooled: Value | None, outer: int = 0
) -> None:
    """The outputs of the head that gives vectors; x is (rows * tokens, size)."""
    shape: list[int | str] = ["rows", tokens.axis, size]
    graph.output("last_hidden_state", tokens.unfold(x, size), shape)
    if pooled is not None:
        graph.output("pooler_output", pooled, ["rows", outer or size])
