"""What bends the scores of the next token before one is chosen, in transformers' order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from silmu.runtime.generate.settings import Settings

    Scores = NDArray[np.float32]


@dataclass
class Row:
    """A text in the making: the prompt's tokens and those that were added.

    Attributes:
        tokens: all of them.
        prompt_length: how many of them are the prompt's.
        room: how many may be added in all.
        prompt: which of the prompts it continues.
    """

    tokens: list[int]
    prompt_length: int
    room: int
    prompt: int

    @property
    def num_new(self) -> int:
        """How many tokens were added."""
        return len(self.tokens) - self.prompt_length

    def grown(self, token: int) -> Row:
        """The same text with one more token."""
        return Row([*self.tokens, token], self.prompt_length, self.room, self.prompt)


Processor = Callable[[Row, "Scores"], "Scores"]
"""(vocabulary,) scores of the token that follows a row -> the same, bent. It may write in place."""


def processors(
    settings: Settings, vocabulary: int, custom: Sequence[Any] = (), allowed: Any = None
) -> list[Processor]:
    """The processors that settings ask for, in the order in which transformers applies them.

    Args:
        vocabulary: how many tokens there are.
        custom: more of them, as `f(ids, scores)` of shapes (1, tokens) and (1, vocabulary).
        allowed: `prefix_allowed_tokens_fn`: of a prompt's number and the ids, the allowed tokens.

    Raises:
        UsageError: a token id is not in the vocabulary.
    """
    s = settings
    ends = [token for token in s.ends if token < vocabulary]
    found: list[Processor] = []
    if s.sequence_bias is not None:
        found.append(_bias(s.biases(), vocabulary))
    if s.encoder_repetition_penalty not in (None, 1.0):
        # On the prompt, and the other way round: above one it favours what the prompt says.
        found.append(_repetition(1 / s.encoder_repetition_penalty, prompt_only=True))
    if s.repetition_penalty not in (None, 1.0):
        found.append(_repetition(s.repetition_penalty))
    if s.no_repeat_ngram_size:
        found.append(_no_repeat(s.no_repeat_ngram_size))
    if s.encoder_no_repeat_ngram_size:
        found.append(_no_repeat(s.encoder_no_repeat_ngram_size, prompt_only=True))
    if s.bad_words_ids is not None:
        words = {tuple(word): -np.inf for word in s.bad_words_ids if tuple(word) not in _ones(ends)}
        found.append(_bias(words, vocabulary))
    if ends and (s.min_length or s.min_new_tokens):
        found.append(
            lambda row, x: _forbid(x, ends) if row.num_new < s.least(row.prompt_length) else x
        )
    if allowed is not None:
        found.append(_only_allowed(allowed))
    if s.forced_bos_token_id is not None:
        bos = _known(s.forced_bos_token_id, "forced_bos_token_id", vocabulary)
        found.append(lambda row, x: _only(x, [bos]) if len(row.tokens) == 1 else x)
    if s.forced_eos_token_id is not None:
        eos = s.forced_eos_token_id
        last = [
            _known(token, "forced_eos_token_id", vocabulary)
            for token in ([eos] if isinstance(eos, int) else eos)
        ]
        found.append(lambda row, x: _only(x, last) if row.num_new == row.room - 1 else x)
    if s.remove_invalid_values:
        found.append(_finite)
    if s.exponential_decay_length_penalty is not None and ends:
        found.append(_decay(s.exponential_decay_length_penalty, ends))
    if s.suppress_tokens is not None:
        never = [token for token in s.suppress_tokens if token < vocabulary]
        found.append(lambda _, x: _forbid(x, never))
    if s.begin_suppress_tokens is not None:
        first = [token for token in s.begin_suppress_tokens if token < vocabulary]
        late = s.forced_bos_token_id is not None
        found.append(
            lambda row, x: (
                _forbid(x, first) if row.num_new == (late and row.prompt_length == 1) else x
            )
        )
    found.extend(_custom(one) for one in custom)
    return found


def log_softmax(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits as log-probabilities, over the last axis."""
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _finite(_: Row, x: Scores) -> Scores:
    return np.nan_to_num(x)


def _forbid(x: Scores, tokens: Sequence[int]) -> Scores:
    x[tokens] = -np.inf
    return x


def _only(x: Scores, tokens: Sequence[int]) -> Scores:
    only = np.full_like(x, -np.inf)
    only[tokens] = 0
    return only


def _known(token: int, name: str, vocabulary: int) -> int:
    if token >= vocabulary:
        raise UsageError(f"{name} is {token}, and the vocabulary has {vocabulary:,} tokens")
    return token


def _ones(tokens: Iterable[int]) -> set[tuple[int, ...]]:
    return {(token,) for token in tokens}


def _bias(words: dict[tuple[int, ...], float], vocabulary: int) -> Processor:
    for word in words:
        for token in word:
            _known(token, "a token of bad_words_ids or sequence_bias", vocabulary)
    always = np.zeros(vocabulary, np.float32)
    for word, bias in words.items():
        if len(word) == 1:
            always[word[0]] = bias
    longer = [(list(word), bias) for word, bias in words.items() if len(word) > 1]

    def process(row: Row, x: Scores) -> Scores:
        x = x + always
        for word, bias in longer:
            if len(word) <= len(row.tokens) and row.tokens[1 - len(word) :] == word[:-1]:
                x[word[-1]] += bias
        return x

    return process


def _repetition(penalty: float, *, prompt_only: bool = False) -> Processor:
    """Keskar et al. 2019, https://arxiv.org/abs/1909.05858, section 4.1."""

    def process(row: Row, x: Scores) -> Scores:
        seen = np.unique(row.tokens[: row.prompt_length] if prompt_only else row.tokens)
        scores = x[seen]
        x[seen] = np.where(scores < 0, scores * penalty, scores / penalty)
        return x

    return process


def _no_repeat(size: int, *, prompt_only: bool = False) -> Processor:
    """Forbids what would complete a run of `size` tokens that is there already."""

    def process(row: Row, x: Scores) -> Scores:
        tokens = row.tokens
        if len(tokens) + 1 < size:
            return x
        tail = tokens[len(tokens) + 1 - size :]
        source = tokens[: row.prompt_length] if prompt_only else tokens
        ends = range(size - 1, len(source))
        return _forbid(x, [source[i] for i in ends if source[i + 1 - size : i] == tail])

    return process


def _decay(penalty: Sequence[float], ends: Sequence[int]) -> Processor:
    start, factor = penalty

    def process(row: Row, x: Scores) -> Scores:
        if (late := row.num_new - start) > 0:
            # An end that something forbids stays forbidden.
            open_ends = [token for token in ends if np.isfinite(x[token])]
            x[open_ends] += np.abs(x[open_ends]) * (factor**late - 1)
        return x

    return process


def _only_allowed(allowed: Any) -> Processor:
    def process(row: Row, x: Scores) -> Scores:
        tokens = [int(token) for token in allowed(row.prompt, np.array(row.tokens))]
        if not tokens:
            raise UsageError("prefix_allowed_tokens_fn allows no token; it must allow at least one")
        kept = np.full_like(x, -np.inf)
        kept[tokens] = x[tokens]
        return kept

    return process


def _custom(function: Any) -> Processor:
    def process(row: Row, x: Scores) -> Scores:
        bent = np.asarray(function(np.array([row.tokens]), x[None]), np.float32)
        if bent.shape != (1, len(x)):
            raise UsageError(
                f"a logits_processor gave scores of shape {bent.shape}; it must give (1, {len(x)})"
            )
        return bent[0]

    return process
