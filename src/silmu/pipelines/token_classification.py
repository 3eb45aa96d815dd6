"""Find names, places and other parts of texts: a label for each token, or for groups of them."""

from __future__ import annotations

from functools import cached_property
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, cast, final

import numpy as np
from tokenizers.pre_tokenizers import ByteLevel

from silmu.errors import InputError, UnknownNameError, UsageError, WrongTypeError
from silmu.pipelines._base import Pipeline, logger
from silmu.runtime import korean

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from silmu.pipelines._model import ModelOutput
    from silmu.runtime.text import Encoded

ALIASES = ("ner",)
ARCHITECTURES = ("ForTokenClassification",)
DEFAULT_MODEL = ("dbmdz/bert-large-cased-finetuned-conll03-english", "4c53496")

STRATEGIES = ("none", "simple", "first", "average", "max")
BY_WORD = ("first", "average", "max")
"""The strategies by which the tokens of a word have one label."""


@final
class TokenClassificationPipeline(Pipeline):
    """Labelled tokens of texts, or entities that are made of them.

    >>> tag = pipeline("ner", aggregation_strategy="simple")             # doctest: +SKIP
    >>> tag("My name is Clara and I live in Hamburg.")[0]                # doctest: +SKIP
    {'entity_group': 'PER', 'score': 0.99..., 'word': 'Clara', 'start': 11, 'end': 16}

    `start` and `end` count characters of the text; a text that is given as words is these, joined
    by `delimiter`. Of a text that is longer than the model reads, the beginning is answered, unless
    `stride` asks for all of it.

    Args:
        inputs: a text, or a list of texts; with `is_split_into_words` a list of words, or a list
            of such lists.
        aggregation_strategy: `none` gives every token; `simple` joins neighbours of one kind;
            `first`, `average` and `max` give the tokens of a word one label before that: that of
            the first, that of their mean scores, or that of the surest.
        ignore_labels: labels that are left out, after joining; only `O`, by default.
        stride: reads long texts in windows that share so many tokens. Of entities that overlap
            the longest is kept, and of equally long ones the surest.
        is_split_into_words: whether inputs are words.
        delimiter: what stands between words; a space, by default.
        offset_mapping: where tokens stand in the text, for each token of it (or a list of such
            lists), in place of what the tokenizer says.
        trim_particles: whether Korean entities end before their particles: 서울, not 서울에서.
        grouped_entities, ignore_subwords: older words for `simple`, and with both for `first`.

    Raises:
        InputError: not a text.
        UsageError: a parameter is out of range.
    """

    head = "token-classification"
    gives_lists = True
    shorten = "give a `stride`, and texts are read in windows that overlap by so many tokens"

    _is_cut_said = False

    def __call__(self, inputs: Any, *, offset_mapping: Any = None, **parameters: Any) -> Any:
        """The entities of a text, or of each of a list or stream of texts."""
        is_split = parameters.get("is_split_into_words")
        if is_split is None:
            is_split = self._parameters[0].get("is_split_into_words", False)
        if is_split and isinstance(inputs, list):
            words = cast("list[Any]", inputs)
            # 4.57 answers the words of one text with a list of one.
            inputs = words if all(isinstance(one, list) for one in words) else [words]
        if offset_mapping is not None:
            inputs = _with_offsets(inputs, offset_mapping)
        return super().__call__(inputs, **parameters)

    def _sanitize_parameters(
        self,
        ignore_labels: Sequence[str] | None = None,
        grouped_entities: bool | None = None,
        ignore_subwords: bool | None = None,
        aggregation_strategy: Any = None,
        is_split_into_words: bool | None = None,
        stride: int | None = None,
        delimiter: str | None = None,
        trim_particles: bool | None = None,
        **unknown: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        if unknown:
            raise WrongTypeError(f"token-classification takes no {', '.join(unknown)}")
        if grouped_entities is not None or ignore_subwords is not None:
            aggregation_strategy = "none"
            if grouped_entities:
                aggregation_strategy = "first" if ignore_subwords else "simple"
            logger.warning(
                "`grouped_entities` and `ignore_subwords` are deprecated: "
                'write aggregation_strategy="%s"',
                aggregation_strategy,
            )
        if aggregation_strategy is not None:
            aggregation_strategy = self._strategy(aggregation_strategy)
        if isinstance(cast("object", ignore_labels), str):
            raise WrongTypeError(f'ignore_labels is a text; give a list, as ["{ignore_labels}"]')
        if stride is not None:
            self._check_stride(stride, aggregation_strategy)
        preprocess = {
            "is_split_into_words": is_split_into_words,
            "delimiter": delimiter,
            "stride": stride,
        }
        postprocess = {
            "aggregation_strategy": aggregation_strategy,
            "ignore_labels": ignore_labels,
            "trim_particles": trim_particles,
        }
        return _given(preprocess), {}, _given(postprocess)

    def _strategy(self, given: Any) -> str:
        # Also an Enum member, whose value says it.
        name = str(getattr(given, "value", given)).lower()
        if name not in STRATEGIES:
            raise UnknownNameError(
                f"aggregation_strategy is {given!r}; it may be {', '.join(STRATEGIES)}"
            )
        if name in BY_WORD and not self._knows_words:
            logger.warning(
                "the tokenizer of `%s` does not tell words apart: a word is taken to begin behind "
                "a space",
                self.tokenizer.name_or_path,
            )
        return name

    def _check_stride(self, stride: int, strategy: str | None) -> None:
        if not isinstance(cast("object", stride), int):
            raise WrongTypeError(f"stride is a {type(stride).__name__}; it must be a whole number")
        added = self.tokenizer.backend_tokenizer.num_special_tokens_to_add(is_pair=False)
        limit = self._window - added
        if not 0 <= stride < limit:
            raise UsageError(
                f"stride is {stride}; it must be from 0 on, and less than the {limit:,} tokens of "
                "a text that are read at once"
            )
        if strategy == "none":
            raise UsageError(
                'stride is given with aggregation_strategy="none"',
                hint=f"windows overlap: give one of {', '.join(STRATEGIES[1:])}",
            )

    @property
    def _window(self) -> int:
        """How many tokens are read at once."""
        return min(self.tokenizer.model_max_length, self.model.max_tokens)

    @cached_property
    def _knows_words(self) -> bool:
        model = self.tokenizer.backend_tokenizer.model
        return bool(getattr(model, "continuing_subword_prefix", None))

    def preprocess(
        self,
        inputs: Any,
        *,
        is_split_into_words: bool = False,
        delimiter: str = " ",
        stride: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """The tokens of a text, or the windows in which it is read."""
        offsets = None
        if isinstance(inputs, _Located):
            inputs, offsets = inputs
        starts: list[int] = []
        text = inputs
        if is_split_into_words:
            words = self._words_of(inputs)
            sizes = [len(word) + len(delimiter) for word in words]
            starts = list(accumulate(sizes[:-1], initial=0))
            text = delimiter.join(words)
        elif not isinstance(inputs, str):
            raise InputError(
                f"a text must be a string, and this is a {type(inputs).__name__}",
                hint="several texts go in a list, each as a string; for lists of words give "
                "is_split_into_words=True",
            )
        encoded = self.tokenizer.encode(
            inputs,
            truncation=True,
            max_length=None if stride is None else self._window,
            stride=stride or 0,
        )
        if stride is None and encoded.overflowing:
            self._say_that_it_is_cut(len(encoded))
        windows = encoded.overflowing if stride is not None else []
        if offsets is not None and (windows or len(offsets) != len(encoded)):
            raise UsageError(
                f"offset_mapping has {len(offsets)} places, and the text {len(encoded)} tokens",
                hint="give a (start, end) for each, special tokens included, and no stride",
            )
        for window in (encoded, *windows) if len(encoded) else ():
            yield {
                **self._arrays(window),
                "window": window,
                "text": text,
                "offsets": _offsets(window, starts) if offsets is None else offsets,
            }

    def _words_of(self, inputs: Any) -> list[str]:
        words = cast("list[Any]", inputs)
        if not isinstance(inputs, list) or not all(isinstance(word, str) for word in words):
            raise InputError(
                "with is_split_into_words=True a text is a list of words, each a string"
            )
        splitter = self.tokenizer.backend_tokenizer.pre_tokenizer
        kind = str(self.tokenizer.settings.get("tokenizer_class", "PreTrainedTokenizer"))
        is_glued = isinstance(splitter, ByteLevel) and not splitter.add_prefix_space
        if is_glued and not kind.startswith("PreTrainedTokenizer"):
            raise UsageError(
                f"the tokenizer of `{self.tokenizer.name_or_path}` knows words by the space before "
                "them, which a list of words has not",
                hint="give the text as one string",
            )
        return words

    def _say_that_it_is_cut(self, length: int) -> None:
        if not self._is_cut_said:
            self._is_cut_said = True
            logger.warning(
                "of a long text the first %s tokens are read, as of others to come; with "
                "`aggregation_strategy` and `stride` all of it is",
                f"{length:,}",
            )

    def postprocess(
        self,
        model_outputs: list[ModelOutput],
        *,
        aggregation_strategy: str = "none",
        ignore_labels: Sequence[str] = ("O",),
        trim_particles: bool = False,
    ) -> list[dict[str, Any]]:
        """The entities of all windows of one text."""
        if trim_particles and aggregation_strategy == "none":
            raise UsageError(
                "trim_particles is given, and a token is not a word",
                hint=f"give aggregation_strategy, one of {', '.join(STRATEGIES[1:])}",
            )
        found: list[dict[str, Any]] = []
        for output in model_outputs:
            tokens = self._tokens(output)
            if aggregation_strategy == "none":
                entities = [_told(token) for token in tokens if token.label not in ignore_labels]
            else:
                if aggregation_strategy in BY_WORD:
                    tokens = self._words(tokens, aggregation_strategy)
                groups = [self._group(group) for group in _grouped(tokens)]
                entities = [one for one in groups if one["entity_group"] not in ignore_labels]
            found += entities
        if len(model_outputs) > 1:
            found = _without_overlaps(found)
        # A token alone stays where the tokenizer says that it is.
        if aggregation_strategy != "none":
            for entity in found:
                _place(entity, model_outputs[0]["text"], trim_particles)
        return found

    def _tokens(self, output: ModelOutput) -> list[_Part]:
        """What the model says of each token that is of the text."""
        logits: NDArray[np.float32] = output["logits"][0]
        raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
        scores = raised / raised.sum(axis=-1, keepdims=True)
        best = scores.argmax(axis=-1).tolist()
        window, text, offsets = output["window"], output["text"], output["offsets"]
        # Those of the encoding are as the text spells them, a space before [MASK] included.
        names = cast("list[str]", self.tokenizer.convert_ids_to_tokens(window.ids))
        labels = self.model.config.id2label
        unknown = self.tokenizer.special_id("unk")
        tokens: list[_Part] = []
        for i, is_special in enumerate(window.special):
            if is_special:
                continue
            start, end = offsets[i]
            word, span = names[i], text[start:end]
            if window.ids[i] == unknown:
                word, goes_on = span, False
            elif self._knows_words:
                goes_on = len(word) != len(span)
            else:
                goes_on = start > 0 and " " not in text[start - 1 : start + 1]
            score = float(scores[i, best[i]])
            tokens.append(_Part(labels[best[i]], score, i, word, start, end, scores[i], goes_on))
        return tokens

    def _words(self, tokens: list[_Part], strategy: str) -> list[_Part]:
        """Tokens joined to the words that they are of, each with one label."""
        words: list[list[_Part]] = []
        for token in tokens:
            if words and token.goes_on:
                words[-1].append(token)
            else:
                words.append([token])
        return [self._word(word, strategy) for word in words]

    def _word(self, tokens: list[_Part], strategy: str) -> _Part:
        first = tokens[0]
        if strategy == "first":
            scores = first.scores
        elif strategy == "max":
            scores = max(tokens, key=lambda token: token.score).scores
        else:
            scores = np.mean([token.scores for token in tokens], axis=0)
        best = int(scores.argmax())
        return first._replace(
            label=self.model.config.id2label[best],
            score=float(scores[best]),
            word=self.tokenizer.convert_tokens_to_string([token.word for token in tokens]),
            end=tokens[-1].end,
        )

    def _group(self, parts: list[_Part]) -> dict[str, Any]:
        return {
            # Behind the first hyphen, whether or not what is before it was taken for a prefix.
            "entity_group": parts[0].label.split("-", 1)[-1],
            "score": Score(np.mean([part.score for part in parts])),
            "word": self.tokenizer.convert_tokens_to_string([part.word for part in parts]),
            "start": parts[0].start,
            "end": parts[-1].end,
        }


class Score(float):
    """A number that json takes, and that has `item()` as numpy's have, which programs call."""

    def item(self) -> float:
        """The same."""
        return float(self)


class _Located(NamedTuple):
    """A text whose tokens' places the caller gives."""

    text: Any
    offsets: list[tuple[int, int]]


class _Part(NamedTuple):
    """A token or a word of a text, and its label."""

    label: str
    score: float
    place: int
    word: str
    start: int
    end: int
    scores: NDArray[np.float32]
    goes_on: bool
    """Whether it is of the same word as the token before it."""


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}


def _with_offsets(inputs: Any, given: Any) -> Any:
    """Texts with the places of their tokens; those of one text may stand alone."""
    if not isinstance(given, list):
        raise WrongTypeError(f"offset_mapping is a {type(given).__name__}; it must be a list")
    texts = cast("list[Any]", inputs) if isinstance(inputs, list) else [inputs]
    offsets = cast("list[Any]", given)
    if offsets and isinstance(offsets[0], tuple):
        offsets = [offsets]
    if len(offsets) != len(texts):
        raise UsageError(
            f"offset_mapping is for {len(offsets)} texts, and {len(texts)} are given",
            hint="give a list of (start, end) for each text, special tokens included",
        )
    located = [_Located(*pair) for pair in zip(texts, offsets, strict=True)]
    return located if isinstance(inputs, list) else located[0]


def _offsets(window: Encoded, starts: list[int]) -> list[tuple[int, int]]:
    """Where tokens stand in the text; of a text in words, a tokenizer tells it within each."""
    encoding = window.encoding
    if not starts:
        return encoding.offsets
    moves = [0 if word is None else starts[word] for word in encoding.word_ids]
    return [
        (start + move, end + move)
        for (start, end), move in zip(encoding.offsets, moves, strict=True)
    ]


def _told(token: _Part) -> dict[str, Any]:
    return {
        "entity": token.label,
        "score": Score(token.score),
        "index": token.place,
        "word": token.word,
        "start": token.start,
        "end": token.end,
    }


def _grouped(parts: list[_Part]) -> list[list[_Part]]:
    """Neighbours of one kind; what begins with B- begins a group."""
    groups: list[list[_Part]] = []
    for part in parts:
        if groups and not part.label.startswith("B-") and _kind(part) == _kind(groups[-1][-1]):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _kind(part: _Part) -> str:
    return part.label[2:] if part.label.startswith(("B-", "I-")) else part.label


def _place(entity: dict[str, Any], text: str, trim_particles: bool) -> None:
    """Makes an entity end with a syllable or, if it is asked for, before its particles."""
    if not entity["end"]:
        return
    start, end = korean.whole_syllables(text, entity["start"], entity["end"])
    stem_end = korean.without_particles(text, start, end) if trim_particles else end
    if stem_end != end:
        entity["word"] = text[start:stem_end]
    entity["start"], entity["end"] = start, stem_end


def _without_overlaps(entities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of entities that overlap, the longest; of equally long ones, the surest."""
    kept: list[dict[str, Any]] = []
    for entity in sorted(entities, key=lambda one: cast("int", one["start"])):
        if not kept or entity["start"] >= kept[-1]["end"]:
            kept.append(entity)
        elif _rank(entity) > _rank(kept[-1]):
            kept[-1] = entity
    return kept


def _rank(entity: dict[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]
