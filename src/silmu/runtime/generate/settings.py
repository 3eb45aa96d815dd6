"""Generation settings: the names and meanings of transformers' GenerationConfig, checked."""

from __future__ import annotations

import difflib
import logging
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal, cast

from silmu.errors import InputError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

logger = logging.getLogger("silmu")

UNSET_MAX_LENGTH = 20
"""transformers' global `max_length`: it stands for "not set", and then gives 20 new tokens."""

MOST = 1 << 31
MOST_ROWS = 1024

NO_EFFECT = {
    # How transformers computes; here there is one way.
    *("use_cache", "cache_implementation", "cache_config", "return_legacy_cache", "low_memory"),
    *("prefill_chunk_size", "compile_config", "disable_compile", "synced_gpus", "tokenizer"),
    *("is_encoder_decoder", "transformers_version", "use_model_defaults", "is_assistant"),
    # The settings of assisted generation, which is asked for by those of NOT_FOLLOWED.
    *("assistant_tokenizer", "num_assistant_tokens", "num_assistant_tokens_schedule"),
    *("assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind"),
    "max_matching_ngram_size",
}
"""Names that are taken, so that programs written for transformers run, and change no answer."""

NOT_FOLLOWED = {
    "assistant_model": "generation is not assisted, which would change its speed only",
    "assistant_early_exit": "generation is not assisted, which would change its speed only",
    "prompt_lookup_num_tokens": "generation is not assisted, which would change its speed only",
    "output_attentions": "attentions are not given",
    "output_hidden_states": "hidden states are not given",
}
"""Names that are taken too, and of which a program should know what it does not get."""

NOT_HERE = {
    "penalty_alpha": (None, 0, 0.0),
    "dola_layers": (None,),
    "num_beam_groups": (None, 1),
    "diversity_penalty": (None, 0, 0.0),
    "constraints": (None,),
    "force_words_ids": (None,),
    "token_healing": (None, False),
    "watermarking_config": (None,),
    "custom_generate": (None,),
    "trust_remote_code": (None, False),
}
"""Ways to generate that silmu does not have, with the values that do not ask for them."""

_WHOLE = {
    "max_length": (1, MOST),
    "max_new_tokens": (1, MOST),
    "min_length": (0, MOST),
    "min_new_tokens": (0, MOST),
    "num_beams": (1, MOST_ROWS),
    "num_return_sequences": (1, MOST_ROWS),
    "top_k": (0, MOST),
    "no_repeat_ngram_size": (0, MOST),
    "encoder_no_repeat_ngram_size": (0, MOST),
    "forced_bos_token_id": (0, MOST),
    "decoder_start_token_id": (0, MOST),
    "pad_token_id": (-MOST, MOST),
    "bos_token_id": (0, MOST),
    "seed": (0, 1 << 64),
}
# Name: lowest, highest, and whether the lowest itself is allowed.
_NUMBERS = {
    "temperature": (0.0, float("inf"), False),
    "top_p": (0.0, 1.0, True),
    "min_p": (0.0, 1.0, True),
    "typical_p": (0.0, 1.0, False),
    "epsilon_cutoff": (0.0, 1.0, True),
    "eta_cutoff": (0.0, 1.0, True),
    "repetition_penalty": (0.0, float("inf"), False),
    "encoder_repetition_penalty": (0.0, float("inf"), False),
    "length_penalty": (float("-inf"), float("inf"), True),
    "guidance_scale": (float("-inf"), float("inf"), True),
    "max_time": (0.0, float("inf"), True),
}
_NEVER_NONE = (
    *("do_sample", "num_beams", "num_return_sequences", "early_stopping"),
    *("min_length", "length_penalty"),
)
"""What has a value always: None is the default, as programs pass on what they were not given."""
_FLAGS = ("do_sample", "renormalize_logits", "remove_invalid_values", "return_dict_in_generate")
_ENDS = ("eos_token_id", "forced_eos_token_id")
_ID_LISTS = ("suppress_tokens", "begin_suppress_tokens")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to generate. Names, defaults and meanings are those of transformers' GenerationConfig.

    >>> Settings(max_new_tokens=8).room(prompt_length=12)
    8

    `seed` is silmu's own: with it, a sampled answer is the same every time.

    Raises:
        UsageError: a value is of the wrong type or out of range, or two exclude each other.
    """

    max_length: int | None = None
    max_new_tokens: int | None = None
    min_length: int = 0
    min_new_tokens: int | None = None
    max_time: float | None = None
    stop_strings: Sequence[str] | str | None = None
    early_stopping: bool | Literal["never"] = False

    do_sample: bool = False
    num_beams: int = 1
    num_return_sequences: int = 1
    seed: int | None = None

    temperature: float | None = 1.0
    top_k: int | None = 50
    top_p: float | None = 1.0
    min_p: float | None = None
    typical_p: float | None = 1.0
    epsilon_cutoff: float | None = 0.0
    eta_cutoff: float | None = 0.0

    repetition_penalty: float | None = 1.0
    encoder_repetition_penalty: float | None = 1.0
    length_penalty: float = 1.0
    no_repeat_ngram_size: int | None = 0
    encoder_no_repeat_ngram_size: int | None = 0
    bad_words_ids: Sequence[Sequence[int]] | None = None
    sequence_bias: Any = None
    suppress_tokens: Sequence[int] | None = None
    begin_suppress_tokens: Sequence[int] | None = None
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | Sequence[int] | None = None
    exponential_decay_length_penalty: Sequence[float] | None = None
    remove_invalid_values: bool = False
    renormalize_logits: bool = False
    guidance_scale: float | None = None

    pad_token_id: int | None = None
    bos_token_id: int | None = None
    eos_token_id: int | Sequence[int] | None = None
    decoder_start_token_id: int | None = None

    return_dict_in_generate: bool = False
    output_scores: bool = False
    output_logits: bool | None = None

    def __post_init__(self) -> None:
        for name in (*_WHOLE, *_NUMBERS, *_ENDS):
            value: Any = getattr(self, name)
            if isinstance(value, Real) and not isinstance(value, int | float):  # of numpy
                plain = int(value) if isinstance(value, Integral) else float(value)
                object.__setattr__(self, name, plain)
        for name, (low, high) in _WHOLE.items():
            value = getattr(self, name)
            if value is not None and not (_is_whole(value) and low <= value <= high):
                raise UsageError(f"{name} is {value!r}; it must be a whole number from {low} on")
        for name, (low, high, closed) in _NUMBERS.items():
            value = getattr(self, name)
            if value is None:
                continue
            sound = isinstance(value, int | float) and not isinstance(value, bool)
            if name == "temperature" and not self.do_sample and sound and value == 0:
                continue  # as many programs write it beside do_sample=False, where nothing reads it
            if not sound or not (low <= value <= high) or (value == low and not closed):
                bounds = f"above {low:g}" if not closed else f"from {low:g}"
                raise UsageError(
                    f"{name} is {value!r}; it must be a number {bounds}"
                    + (f" to {high:g}" if high != float("inf") else ""),
                    hint="do_sample=False takes the best token each time"
                    if name == "temperature"
                    else None,
                )
        for name in _FLAGS:
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"{name} is {getattr(self, name)!r}; it must be True or False")
        for name in _ID_LISTS:
            value = getattr(self, name)
            if value is not None and not _is_ids(value):
                raise UsageError(f"{name} is {value!r:.80}; it must be a list of token ids")
        self._check_ends()
        self._check_biases()
        self._check_together()

    def _check_ends(self) -> None:
        for name in _ENDS:
            value = getattr(self, name)
            if value is not None and not _is_whole(value) and not _is_ids(value):
                raise UsageError(
                    f"{name} is {value!r:.80}; it must be a token id or a list of them"
                )
        if not isinstance(self.early_stopping, bool) and self.early_stopping != "never":
            raise UsageError(
                f"early_stopping is {self.early_stopping!r}; it must be True, False or 'never'"
            )
        stops: Any = self.stop_strings
        if stops is not None and (
            not isinstance(stops, str | list | tuple)
            or not stops
            or not all(isinstance(s, str) and s for s in cast("Sequence[object]", stops))
        ):
            raise UsageError(
                f"stop_strings is {stops!r:.80}; it must be a string or a list of them"
            )
        decay: Any = self.exponential_decay_length_penalty
        if decay is not None:
            pair = cast("Sequence[object]", decay if isinstance(decay, list | tuple) else ())
            if len(pair) != 2 or not all(isinstance(part, int | float) for part in pair):
                raise UsageError(
                    f"exponential_decay_length_penalty is {decay!r:.80}; "
                    "it must be a pair: the number of tokens to wait, and the factor"
                )

    def _check_biases(self) -> None:
        words = self.bad_words_ids
        if words is not None and (
            not isinstance(words, list | tuple) or not words or not all(map(_is_ids, words))
        ):
            raise UsageError(
                f"bad_words_ids is {words!r:.80}; it must be a list of words, "
                "each a list of token ids"
            )
        if self.sequence_bias is not None:
            self.biases()

    def _check_together(self) -> None:
        returned, beams = self.num_return_sequences, self.num_beams
        if returned > 1 and beams == 1 and not self.do_sample:
            raise UsageError(
                f"num_return_sequences is {returned}, and without sampling or beams there is one "
                "answer",
                hint="add do_sample=True, or num_beams",
            )
        if beams > 1 and returned > beams:
            raise UsageError(f"num_return_sequences is {returned}, and num_beams is only {beams}")

    @property
    def ends(self) -> tuple[int, ...]:
        """The token ids that end a text."""
        return _as_ids(self.eos_token_id)

    @property
    def padding(self) -> int:
        """What answers of different lengths are filled up with, where they must have one length.

        That of beams is the end where the padding token has the id 0, as in transformers.
        """
        is_given = self.pad_token_id is not None and (self.num_beams == 1 or self.pad_token_id)
        return cast("int", self.pad_token_id) if is_given else (*self.ends, 0)[0]

    def biases(self) -> dict[tuple[int, ...], float]:
        """`sequence_bias` as a dict, from either of its two forms."""
        given = self.sequence_bias
        wrong = UsageError(
            f"sequence_bias is {given!r:.80}; it must be a list of pairs: token ids and a number"
        )
        if not isinstance(given, dict | list) or not given:
            raise wrong
        pairs = cast(
            "Sequence[Any]",
            list(cast("dict[Any, Any]", given).items()) if isinstance(given, dict) else given,
        )
        found: dict[tuple[int, ...], float] = {}
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(cast("Sequence[Any]", pair)) != 2:
                raise wrong
            ids, bias = cast("Sequence[Any]", pair)
            if not _is_ids(ids) or not isinstance(bias, float):
                raise wrong
            found[tuple(ids)] = bias
        return found

    def room(self, prompt_length: int) -> int:
        """How many new tokens there may be after a prompt.

        Raises:
            InputError: max_length leaves none.
        """
        if self.max_new_tokens is not None:
            return self.max_new_tokens
        if self.max_length is None:
            return UNSET_MAX_LENGTH
        if prompt_length >= self.max_length:
            raise InputError(
                f"a prompt has {prompt_length:,} tokens, and max_length is {self.max_length:,}, "
                "the prompt included",
                hint="max_new_tokens counts the new tokens alone",
            )
        return self.max_length - prompt_length

    def least(self, prompt_length: int) -> int:
        """How many new tokens there must be after a prompt."""
        if self.min_new_tokens is not None:
            return self.min_new_tokens
        return max(0, self.min_length - prompt_length)


_FIELDS = {field.name: field.default for field in fields(Settings)}


def differing(values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values of a generation_config.json, those that differ from the global defaults.

    >>> differing({"max_length": 20, "num_beams": 4, "transformers_version": "4.57.6"})
    {'num_beams': 4}
    """
    found = {k: v for k, v in values.items() if k in _FIELDS and v != _FIELDS[k]}
    if found.get("max_length") == UNSET_MAX_LENGTH:
        del found["max_length"]
    unasked = {k: v for k, v in values.items() if k in NOT_HERE and v not in NOT_HERE[k]}
    return found | unasked


def merged(*layers: Mapping[str, Any]) -> Settings:
    """Settings from layers, of which later ones win.

    >>> merged({"num_beams": 4}, {"num_beams": 2}).num_beams
    2

    Raises:
        UsageError: a name is unknown, or not among the ways to generate that silmu has.
    """
    values: dict[str, Any] = {}
    for layer in layers:
        values |= layer
    for name, unasked in NOT_HERE.items():
        if name in values and values.pop(name) not in unasked:
            raise UsageError(
                f"{name} asks for a way to generate that silmu does not have",
                hint="there are greedy search, sampling and beam search",
            )
    for name, said in NOT_FOLLOWED.items():
        if values.pop(name, None):
            logger.warning("%s: %s", name, said)
    for name in [name for name in values if name not in _FIELDS]:
        if name not in NO_EFFECT and not name.startswith("_"):
            near = difflib.get_close_matches(name, _FIELDS, n=1)
            raise UsageError(
                f"`{name}` is not a generation setting",
                hint=f"did you mean `{near[0]}`?" if near else f"there are {', '.join(_FIELDS)}",
            )
        del values[name]
    for name in _NEVER_NONE:
        if name in values and values[name] is None:
            del values[name]
    return Settings(**values)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_ids(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        _is_whole(i) and 0 <= cast("int", i) <= MOST for i in cast("Sequence[object]", value)
    )


def _as_ids(value: int | Sequence[int] | None) -> tuple[int, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)
