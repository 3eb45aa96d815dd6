"""Continue a text or a chat, one token after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.pipelines import _answers, _prompts
from silmu.pipelines._base import Pipeline, logger
from silmu.pipelines._generation import DEFAULTS, Beginning, GenerationConfig, longer
from silmu.runtime.generate import Extras, Settings, generate
from silmu.runtime.generate.sampling import new_seed

if TYPE_CHECKING:
    from silmu.pipelines._model import ModelOutput
    from silmu.runtime.generate import Answer

ARCHITECTURES = ("ForCausalLM", "LMHeadModel")
DEFAULT_MODEL = ("openai-community/gpt2", "607a30d")

_EXTRAS = (
    *("streamer", "stopping_criteria", "logits_processor"),
    *("prefix_allowed_tokens_fn", "negative_prompt_ids"),
)
_KEPT = (*_EXTRAS, "generation_config")
"""What a call may be given that is no setting."""


@final
class TextGenerationPipeline(Pipeline):
    """Texts that go on from a prompt.

    >>> write = pipeline("text-generation", model="gpt2")                # doctest: +SKIP
    >>> write("Once upon a time", max_new_tokens=8, do_sample=False)     # doctest: +SKIP
    [{'generated_text': 'Once upon a time, the world was a place of'}]

    Without other word it samples at temperature 0.7 and writes at most 256 tokens, unless the
    model's generation_config.json says otherwise. An explicit `max_length`, which counts the
    prompt too, is honoured.

    Args:
        text_inputs: a prompt, a chat (a list of dicts with `role` and `content`), or a list of
            either.
        return_full_text: whether the prompt, or the chat, comes back before what is new.
        return_tensors: gives `generated_token_ids` instead of text.
        clean_up_tokenization_spaces, skip_special_tokens: how ids become text.
        prefix: put before every prompt, and not given back.
        handle_long_generation: `hole` cuts a prompt from the left so that the answer has room.
        stop_sequence: a string; each of its tokens ends the text, as in 4.57. `stop_strings` takes
            whole strings.
        continue_final_message: whether the last message of a chat is to be continued.
        truncation, max_length, padding, add_special_tokens, tokenizer_encode_kwargs: for the
            tokenizer.
        streamer: is given tokens as they come, such as `silmu.TextStreamer(pipe.tokenizer)`.
        seed: makes a sampled answer the same every time; for a list of prompts it may be a list.

    Any other keyword is a generation setting; `silmu.runtime.generate.Settings` lists them all.

    Raises:
        InputError: not a prompt, or one that leaves no room for an answer.
        UsageError: a setting is unknown or out of range.
    """

    head = "text-generation"
    token_budget: ClassVar[int] = 8192  # of the cache, room for answers included

    def __init__(self, *args: Any, **parameters: Any) -> None:
        super().__init__(*args, **parameters)
        preprocess, given, postprocess = self._parameters
        given = dict(given)
        kept = {name: given.pop(name) for name in _KEPT if name in given}
        own = (self.model.config.task_specific_params or {}).get(self.task)
        specific = dict(cast("Mapping[str, Any]", own)) if isinstance(own, Mapping) else {}
        prefix = specific.pop("prefix", None)
        if prefix and "prefix" not in preprocess:
            preprocess["prefix"] = prefix
        self._beginning = Beginning(self.model.folder, self.tokenizer, given, specific)
        self._parameters = (preprocess, kept, postprocess)

    @property
    def generation_config(self) -> GenerationConfig:
        """The settings that a call begins with; `pipe.generation_config.pad_token_id = 0` sets."""
        return GenerationConfig(self._beginning)

    def __call__(self, text_inputs: Any, **parameters: Any) -> Any:
        """Continues a prompt, a chat, a list of either, or anything that yields them."""
        if {**self._parameters[1], **parameters}.get("streamer") is not None:
            parameters["batch_size"] = 1
        if isinstance(parameters.get("seed"), list | tuple):
            text_inputs = _prompts.seeded(text_inputs, parameters.pop("seed"))
        if isinstance(text_inputs, list | tuple) and text_inputs:
            given = cast("Sequence[Any]", text_inputs)
            if _prompts.holds_messages(given):
                return super().__call__(_prompts.Chat(given), **parameters)
            if isinstance(given[0], list | tuple):
                return super().__call__(list(given), **parameters)
        return super().__call__(text_inputs, **parameters)

    def _sanitize_parameters(
        self,
        return_full_text: bool | None = None,
        return_tensors: bool | None = None,
        return_text: bool | None = None,
        return_type: Any = None,
        clean_up_tokenization_spaces: bool | None = None,
        prefix: str | None = None,
        handle_long_generation: str | None = None,
        stop_sequence: str | None = None,
        truncation: Any = None,
        max_length: int | None = None,
        continue_final_message: bool | None = None,
        skip_special_tokens: bool | None = None,
        tokenizer_encode_kwargs: dict[str, Any] | None = None,
        add_special_tokens: bool | None = None,
        padding: Any = None,
        **settings: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        del padding  # rows of different lengths are the decoder's affair
        if handle_long_generation not in (None, "hole"):
            raise UsageError(
                f"handle_long_generation is {handle_long_generation!r}; it may be None or 'hole'"
            )
        if max_length is not None:
            settings["max_length"] = max_length
        if stop_sequence is not None:
            encoded = self.tokenizer.encode(stop_sequence, add_special_tokens=False)
            settings["eos_token_id"] = encoded.ids
        preprocess = {
            "prefix": prefix,
            "hole": handle_long_generation == "hole" or None,
            "truncation": truncation,
            "max_length": max_length,
            "continue_final_message": continue_final_message,
            "add_special_tokens": add_special_tokens,
            "tokenizer_encode_kwargs": tokenizer_encode_kwargs,
        }
        postprocess = {
            "return_type": _answers.return_type(
                return_full_text, return_tensors, return_text, return_type
            ),
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            "continue_final_message": continue_final_message,
            "skip_special_tokens": skip_special_tokens,
        }
        return _given(preprocess), settings, _given(postprocess)

    def _merged(self, parameters: dict[str, Any]) -> Any:
        preprocess, forward, postprocess = super()._merged(parameters)
        others = _given({name: forward.pop(name) for name in _EXTRAS if name in forward})
        # Settled once a call, and before any work: what cannot be followed is said at once.
        settings = self._beginning.settings(forward)
        if prefix := preprocess.get("prefix"):
            special = preprocess.get("add_special_tokens", True)
            prefix_ids = self.tokenizer.encode(prefix, add_special_tokens=special)
            settings = longer(settings, len(prefix_ids))
        preprocess["settings"] = settings
        return preprocess, {"settings": settings, "extras": others}, postprocess

    def preprocess(
        self,
        inputs: Any,
        *,
        settings: Settings,
        prefix: str = "",
        hole: bool = False,
        truncation: Any = None,
        max_length: int | None = None,
        continue_final_message: bool | None = None,
        add_special_tokens: bool = True,
        tokenizer_encode_kwargs: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The tokens of a prompt or a chat, and how many may follow."""
        if isinstance(inputs, _prompts.Seeded):
            settings = replace(settings, seed=inputs.seed)
            inputs = inputs.prompt
        options = {"add_special_tokens": add_special_tokens, "truncation": truncation}
        if truncation:
            options["max_length"] = max_length
        options |= tokenizer_encode_kwargs or {}
        options.pop("padding", None)
        prompt = _prompts.checked(inputs)
        ids = _prompts.tokens(
            prompt,
            self.tokenizer,
            options,
            prefix=prefix,
            continue_final_message=continue_final_message,
        )
        if hole:
            ids = self._make_room(ids, settings)
        known = list(ids)
        if not ids:
            ids = [self._first_token()]
        self._check_length(len(ids))
        self.model.check_ids(ids)
        room = self._room(len(ids), settings)
        return {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "max_new_tokens": np.array([[room]], np.int64),
            "seed": np.array([[new_seed() if settings.seed is None else settings.seed]], np.uint64),
            "known": known,
            "prompt": prompt,
            "settings": settings,
        }

    def _weight(self, row: Mapping[str, Any]) -> int:
        """Tokens of cache that a prompt takes, its answers included."""
        settings: Settings = row["settings"]
        copies = max(settings.num_beams, settings.num_return_sequences)
        return copies * (row["input_ids"].shape[1] + int(row["max_new_tokens"][0, 0]))

    def _forward(self, model_inputs: dict[str, Any], **parameters: Any) -> Mapping[str, Any]:
        settings: Settings = parameters["settings"]
        lengths = model_inputs["attention_mask"].sum(axis=1)
        prompts = [
            row[:length].tolist()
            for row, length in zip(model_inputs["input_ids"], lengths, strict=True)
        ]
        answers = generate(
            self.model.decoder,
            prompts,
            settings,
            Extras(
                decode=self.tokenizer.decode,
                seeds=model_inputs["seed"][:, 0].tolist(),
                rooms=model_inputs["max_new_tokens"][:, 0].tolist(),
                **parameters["extras"],
            ),
        )
        return {"generated": answers}

    def postprocess(
        self,
        model_outputs: ModelOutput,
        *,
        return_type: str = "FULL_TEXT",
        clean_up_tokenization_spaces: bool = True,
        continue_final_message: bool | None = None,
        skip_special_tokens: bool = True,
    ) -> list[dict[str, Any]]:
        """One record for each answer."""
        ids: list[int] = model_outputs["input_ids"][0].tolist()
        how = {
            "skip_special_tokens": skip_special_tokens,
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        }
        start = len(self.tokenizer.decode(model_outputs["known"], **how))
        answers: list[Answer] = model_outputs["generated"]
        settings: Settings = model_outputs["settings"]
        longest = max(len(answer.tokens) for answer in answers)
        records: list[dict[str, Any]] = []
        for answer in answers:
            # transformers gives answers as one tensor, so all have the length of the longest.
            fill = [settings.padding] * (longest - len(answer.tokens))
            whole = [*ids, *answer.tokens, *fill]
            if return_type == "TENSORS":
                records.append({"generated_token_ids": whole})
                continue
            text: Any = self.tokenizer.decode(whole, **how)[start:]
            if return_type == "FULL_TEXT":
                text = _answers.continued(model_outputs["prompt"], text, continue_final_message)
            records.append(
                {"generated_text": text, **_answers.extras(answer, len(answers), settings)}
            )
        return records

    def _make_room(self, ids: list[int], settings: Settings) -> list[int]:
        limit = min(self.tokenizer.model_max_length, self.model.max_tokens)
        room = settings.room(len(ids))
        if len(ids) + room <= limit:
            return ids
        if limit - room <= 0:
            raise UsageError(
                f"{room} new tokens are asked for, and the model sees {limit} in all",
                hint="ask for fewer with max_new_tokens",
            )
        return ids[-(limit - room) :]

    def _check_length(self, length: int) -> None:
        if length > self.model.max_tokens:
            raise InputError(
                f"a prompt has {length:,} tokens, and this model sees at most "
                f"{self.model.max_tokens:,}, the answer included",
                hint="shorten it, or cut it from the left with handle_long_generation='hole'",
            )

    def _room(self, length: int, settings: Settings) -> int:
        """How many tokens may follow a prompt: the last one is given, and need not be seen."""
        asked, most = settings.room(length), self.model.max_tokens - length + 1
        if asked > most and asked != DEFAULTS["max_new_tokens"]:
            logger.warning(
                "%s new tokens are asked for, and after a prompt of %s this model has room for %s",
                *(asked, length, most),
            )
        return min(asked, most)

    def _first_token(self) -> int:
        """What a text begins with that has no prompt."""
        bos = self._beginning.settings({}).bos_token_id
        if bos is None:
            bos = self.tokenizer.special_id("bos")
        if bos is None:
            raise InputError("the prompt is empty, and the model has no token to begin with")
        return bos


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
