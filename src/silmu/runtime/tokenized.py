"""What a tokenizer gives: one row of token ids, or the rows of several texts by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tokenizers import Encoding


class Encoded(list[int]):
    """One row for a model: a list of token ids, and what is known of each token.

    Attributes:
        type_ids, special: a number for each token; `special` is 1 for tokens that are not of the
            text.
        encoding: the same with offsets and words, as the `tokenizers` library gives it.
        overflowing: the windows that follow, where truncation was asked to keep them.
    """

    def __init__(self, encoding: Encoding) -> None:
        super().__init__(encoding.ids)
        self.type_ids: list[int] = encoding.type_ids
        self.special: list[int] = encoding.special_tokens_mask
        self.encoding = encoding
        self.overflowing = [Encoded(window) for window in encoding.overflowing]

    @property
    def ids(self) -> list[int]:
        """The token ids, as the list that this is."""
        return self


class Rows(dict[str, Any]):
    """What a tokenizer gives for texts, by name; also as attributes, as programs read it."""

    def __init__(
        self, values: dict[str, Any], encoded: Sequence[Encoded] = (), side: str = "right"
    ) -> None:
        super().__init__(values)
        self._encoded = [*encoded]
        self._side = side

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"the tokenizer gave {', '.join(self)}, no {name!r}") from None

    @property
    def data(self) -> dict[str, Any]:
        """The same as a plain dict."""
        return dict(self)

    def to(self, device: Any) -> Rows:
        """The same, for programs that send it where their model is; silmu's arrays stay here."""
        del device
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """The tokens of a row, as the vocabulary spells them."""
        return self._padded(self._encoded[batch_index].encoding.tokens, batch_index, "")

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Which word each token of a row is of; None where of none."""
        return self._padded(self._encoded[batch_index].encoding.word_ids, batch_index, None)

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Which of two texts each token of a row is of; None where of none."""
        return self._padded(self._encoded[batch_index].encoding.sequence_ids, batch_index, None)

    def _padded(self, values: list[Any], row: int, fill: Any) -> list[Any]:
        ids: Any = self["input_ids"]
        of_several = len(ids) > 0 and not isinstance(ids[0], int)
        padding = [fill] * ((len(ids[row]) if of_several else len(ids)) - len(values))
        return [*padding, *values] if self._side == "left" else [*values, *padding]


def texts_and_pairs(
    text: Any, text_pair: Any, *, is_split: bool
) -> tuple[list[Any], list[Any], bool]:
    """The texts of a call, the second texts of pairs, and whether it is about one text alone.

    Args:
        text: a text, a list of texts, or a list of pairs; of a text that is split, its words.
        text_pair: the second text, or one for each.
        is_split: whether texts are lists of words.

    Raises:
        InputError: what was given is none of these, or there are not as many second texts.
    """
    alone = isinstance(text, str)
    if is_split and not alone:
        given = list(text)
        alone = bool(given) and all(isinstance(word, str) for word in given)
    if alone:
        return [text], [text_pair], True
    try:
        texts = [*cast("Iterable[Any]", text)]
    except TypeError:
        raise InputError(
            f"a text must be a string, and this is a {type(text).__name__}",
            hint="several texts go in a list, each as a string",
        ) from None
    pairs: list[Any] = [None] * len(texts) if text_pair is None else list(text_pair)
    if len(pairs) != len(texts):
        raise InputError(f"there are {len(texts)} texts, and {len(pairs)} second texts of pairs")
    if not is_split and text_pair is None:
        for i, one in enumerate(texts):
            if isinstance(one, str):
                continue
            both = [*cast("list[Any]", one)] if isinstance(one, list | tuple) else []
            if len(both) != 2:
                kind = type(cast("object", one)).__name__
                raise InputError(
                    f"text {i} is a {kind}; it must be a string, or a pair of them",
                    hint="for lists of words give is_split_into_words=True",
                )
            texts[i], pairs[i] = both
    return texts, pairs, False


def about(rows: Sequence[Encoded], width: int | None, side: str) -> dict[str, list[Any]]:
    """What can be asked of rows beside their ids, padded to a width where one is given."""

    def filled(values: list[Any], fill: Any) -> list[Any]:
        padding = [fill] * (0 if width is None else width - len(values))
        return [*padding, *values] if side == "left" else [*values, *padding]

    return {
        "special_tokens_mask": [filled(row.special, 1) for row in rows],
        "offset_mapping": [filled(row.encoding.offsets, (0, 0)) for row in rows],
        "length": [len(row) if width is None else width for row in rows],
    }


def refuse_tensors(kind: str | None) -> None:
    """Refuses arrays of other libraries.

    Raises:
        UsageError: they are asked for.
    """
    if kind not in (None, "np", "onnx"):  # the framework that pipelines name
        raise UsageError(f"return_tensors is {kind!r}; silmu has 'np'")
