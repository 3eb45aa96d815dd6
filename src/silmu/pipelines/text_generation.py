"""Continue a text or a chat, one token after another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from silmu.errors import InputError, InvalidModelError, UsageError, WrongTypeError
from silmu.pipelines._base import Pipeline, logger
from silmu.runtime.generate import Extras, Settings, differing, generate, merged
from silmu.runtime.generate.sampling import new_seed

if TYPE_CHECKING:
    from silmu.pipelines._model import ModelOutput
    from silmu.runtime.generate import Answer

ARCHITECTURES = ("ForCausalLM", "LMHeadModel")
DEFAULT_MODEL = ("openai-community/gpt2", "607a30d")

DEFAULTS: dict[str, Any] = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
RETURN_TYPES = ("TENSORS", "NEW_TEXT", "FULL_TEXT")
_EXTRAS = (
    *("streamer", "stopping_criteria", "logits_processor"),
    *("prefix_allowed_tokens_fn", "negative_prompt_ids"),
)
_ENCODE_OPTIONS = ("add_special_tokens", "truncation", "max_length", "stride")


@dataclass(frozen=True)
class Chat:
    """A conversation, which is one input although it is a list."""

    messages: Sequence[Mapping[str, Any]]

    def __post_init__(self) -> None:
        for message in cast("Sequence[object]", self.messages):
            if (
                not isinstance(message, Mapping)
                or not {"role", "content"} <= cast("Mapping[str, Any]", message).keys()
            ):
                raise InputError(
                    f"a {type(cast('object', message)).__name__} is not a message of a chat",
                    hint='give {"role": "user", "content": "..."}',
                )

    def goes_on(self, asked: bool | None) -> bool:
        """Whether the last message is continued: as asked, else if it is the assistant's own."""
        if asked is None:
            return bool(self.messages) and self.messages[-1]["role"] == "assistant"
        return asked


@dataclass(frozen=True)
class _Seeded:
    """A prompt or chat with a seed of its own."""

    prompt: Any
    seed: Any


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
        self._layers: list[Mapping[str, Any]] = []
        super().__init__(*args, **parameters)
        preprocess, given, postprocess = self._parameters
        given = dict(given)
        self._kept = {name: given.pop(name) for name in _EXTRAS if name in given}
        if "generation_config" in given:
            self._kept["generation_config"] = given.pop("generation_config")
        self._repository = self._read_repository()
        settings = {**self._repository, **DEFAULTS, **given}
        if settings.get("max_length") is not None and given.get("max_new_tokens") is None:
            settings["max_new_tokens"] = None
        own = (self.model.config.task_specific_params or {}).get(self.task)
        if isinstance(own, Mapping):
            specific = dict(cast("Mapping[str, Any]", own))
            prefix = specific.pop("prefix", None)
            if prefix and "prefix" not in preprocess:
                preprocess["prefix"] = prefix
            settings |= specific
        self._layers = [settings]
        self._settings({})  # says at once what is wrong with them
        self._parameters = (preprocess, self._kept, postprocess)

    @property
    def generation_config(self) -> _Defaults:
        """The settings that a call begins with; `pipe.generation_config.pad_token_id = 0` sets."""
        return _Defaults(self)

    def begin_with(self, **settings: Any) -> None:
        """Changes the settings that a call begins with.

        Raises:
            UsageError: a setting is unknown or out of range; none is changed.
        """
        if settings.get("max_length") is not None:
            settings.setdefault("max_new_tokens", None)
        merged(*self._layers, settings)
        self._layers = [*self._layers, settings]

    def __call__(self, text_inputs: Any, **parameters: Any) -> Any:
        """Continues a prompt, a chat, a list of either, or anything that yields them."""
        if parameters.get("streamer") is not None or "streamer" in self._kept:
            parameters["batch_size"] = 1
        if isinstance(parameters.get("seed"), list | tuple):
            text_inputs = _seeded(text_inputs, parameters.pop("seed"))
        if isinstance(text_inputs, list | tuple) and text_inputs:
            given = cast("Sequence[Any]", text_inputs)
            if _holds_messages(given):
                return super().__call__(Chat(given), **parameters)
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
            "return_type": _return_type(return_full_text, return_tensors, return_text, return_type),
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            "continue_final_message": continue_final_message,
            "skip_special_tokens": skip_special_tokens,
        }
        return _given(preprocess), settings, _given(postprocess)

    def _merged(self, parameters: dict[str, Any]) -> Any:
        preprocess, forward, postprocess = super()._merged(parameters)
        extras = {name: forward.pop(name) for name in _EXTRAS if name in forward}
        # Settled once a call, and before any work: what cannot be followed is said at once.
        settings = self._settings(forward)
        if prefix := preprocess.get("prefix"):
            special = preprocess.get("add_special_tokens", True)
            prefix_ids = self.tokenizer.encode(prefix, add_special_tokens=special)
            settings = _longer(settings, len(prefix_ids))
        preprocess["settings"] = settings
        return preprocess, {"settings": settings, "extras": extras}, postprocess

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
        if isinstance(inputs, _Seeded):
            settings = replace(settings, seed=inputs.seed)
            inputs = inputs.prompt
        options = {"add_special_tokens": add_special_tokens, "truncation": truncation}
        if truncation:
            options["max_length"] = max_length
        options |= tokenizer_encode_kwargs or {}
        options.pop("padding", None)
        if isinstance(inputs, list | tuple) and _holds_messages(cast("Sequence[Any]", inputs)):
            inputs = Chat(cast("Sequence[Any]", inputs))
        if isinstance(inputs, Chat):
            ids = self._chat_ids(inputs, continue_final_message, options)
        elif isinstance(inputs, str):
            ids = self.tokenizer.encode(prefix + inputs, **_known(options)).ids
        else:
            raise WrongTypeError(
                "a prompt must be a string or a chat, and this is a "
                f"{type(cast('object', inputs)).__name__}"
            )
        if hole:
            ids = self._make_room(ids, settings)
        known = list(ids)
        if not ids:
            ids = [self._beginning()]
        self._check_length(len(ids))
        self.model.check_ids(ids)
        room = self._room(len(ids), settings)
        return {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "max_new_tokens": np.array([[room]], np.int64),
            "seed": np.array([[new_seed() if settings.seed is None else settings.seed]], np.uint64),
            "known": known,
            "prompt": inputs,
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
                text = _after(model_outputs["prompt"], text, continue_final_message)
            records.append({"generated_text": text, **_extras(answer, len(answers), settings)})
        return records

    def _read_repository(self) -> dict[str, Any]:
        """What the model's folder says of generation, where it differs from the global defaults."""
        folder = self.model.folder
        found = differing(
            folder.json("generation_config.json")
            if folder.has("generation_config.json")
            else folder.config  # models of before 2022 say it there
        )
        try:
            merged(found)
        except UsageError as error:
            raise InvalidModelError(
                f"generation_config.json of `{folder.name}`: {error.message}", hint=error.hint
            ) from error
        return found

    def _settings(self, given: Mapping[str, Any]) -> Settings:
        """All settings of a call, from the lowest layer to the highest."""
        given = dict(given)
        config = given.pop("generation_config", None)
        layers = self._layers
        if config is not None:
            layers = [self._repository, differing(_as_mapping(config))]
        if given.get("max_length") is not None and given.get("max_new_tokens") is None:
            # Here silmu differs from 4.57 on purpose, which lets its own 256 new tokens win.
            given["max_new_tokens"] = None
        pad = {"pad_token_id": self.tokenizer.special_id("pad")}
        settings = merged(pad, *layers, given)
        if settings.pad_token_id is None and pad["pad_token_id"] is not None:
            settings = replace(settings, **pad)
        return settings

    def _chat_ids(
        self, chat: Chat, continue_final_message: bool | None, options: dict[str, Any]
    ) -> list[int]:
        goes_on = chat.goes_on(continue_final_message)
        variables = {k: v for k, v in options.items() if k not in _ENCODE_OPTIONS}
        cut = {k: options[k] for k in ("truncation", "max_length") if k in options}
        text = self.tokenizer.apply_chat_template(
            chat.messages,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            tokenize=False,
            **variables,
        )
        return self.tokenizer.encode(cast("str", text), add_special_tokens=False, **cut).ids

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

    def _beginning(self) -> int:
        bos = self._settings({}).bos_token_id
        if bos is None:
            bos = self.tokenizer.special_id("bos")
        if bos is None:
            raise InputError("the prompt is empty, and the model has no token to begin with")
        return bos


@final
class _Defaults:
    """What a call begins with, by attribute; transformers shows it as a GenerationConfig."""

    def __init__(self, pipe: TextGenerationPipeline) -> None:
        object.__setattr__(self, "_pipe", pipe)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipe._settings({}), name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._pipe.begin_with(**{name: value})


def _as_mapping(config: Any) -> Mapping[str, Any]:
    values: Any = config.to_dict() if hasattr(config, "to_dict") else config
    return cast("Mapping[str, Any]", values if isinstance(values, Mapping) else vars(values))


def _longer(settings: Settings, prefix_length: int) -> Settings:
    """Settings whose lengths count a prompt with its prefix, where they count the prompt."""
    changes: dict[str, Any] = {}
    if settings.max_new_tokens is None and settings.max_length is not None:
        changes["max_length"] = settings.max_length + prefix_length
    if settings.min_new_tokens is None and settings.min_length:
        changes["min_length"] = settings.min_length + prefix_length
    return replace(settings, **changes)


def _after(prompt: str | Chat, text: str, continue_final_message: bool | None) -> Any:
    """What is new, behind the prompt or as a message of the chat."""
    if isinstance(prompt, str):
        return prompt + text
    messages = list(prompt.messages)
    if prompt.goes_on(continue_final_message):
        last = messages[-1]
        return [*messages[:-1], {"role": last["role"], "content": last["content"] + text}]
    return [*messages, {"role": "assistant", "content": text}]


def _extras(answer: Answer, num_answers: int, settings: Settings) -> dict[str, Any]:
    """What return_dict_in_generate adds, in the shapes of 4.57."""
    if not settings.return_dict_in_generate:
        return {}
    extras: dict[str, Any] = {
        name: [row.tolist() for row in rows]
        for name, rows in (("scores", answer.scores), ("logits", answer.logits))
        if rows
    }
    if answer.score is not None and num_answers == 1:
        if settings.output_scores:
            extras["sequences_scores"] = [answer.score]
        extras["beam_indices"] = [answer.path]
    return extras


def _return_type(
    full_text: bool | None, tensors: bool | None, text: bool | None, given: Any
) -> str | None:
    if given is not None:
        name = str(getattr(given, "name", given)).upper()
        if name not in RETURN_TYPES:
            raise UsageError(f"return_type is {given!r}; it may be {', '.join(RETURN_TYPES)}")
        return name
    if full_text is not None:
        for name, other in (("return_text", text), ("return_tensors", tensors)):
            if other is not None:
                raise UsageError(f"return_full_text and {name} exclude each other")
        return "FULL_TEXT" if full_text else "NEW_TEXT"
    if tensors is not None:
        if text is not None:
            raise UsageError("return_tensors and return_text exclude each other")
        return "TENSORS"
    return None


def _seeded(inputs: Any, seeds: Sequence[Any]) -> list[_Seeded]:
    prompts = cast("Sequence[Any]", inputs) if isinstance(inputs, list | tuple) else ()
    if len(prompts) != len(seeds) or _holds_messages(prompts):
        given = (
            f"{len(prompts)} prompts" if prompts else f"a {type(cast('object', inputs)).__name__}"
        )
        raise UsageError(
            f"seed is a list of {len(seeds)}, and the input is {given}",
            hint="a list of seeds goes with a list of as many prompts or chats",
        )
    return [_Seeded(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]


def _holds_messages(inputs: Sequence[Any]) -> bool:
    return bool(inputs) and isinstance(inputs[0], Mapping)


def _known(options: dict[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - {*_ENCODE_OPTIONS}:
        raise WrongTypeError(
            f"unexpected keyword {', '.join(sorted(unknown))}; the tokenizer takes "
            f"{', '.join(_ENCODE_OPTIONS)}"
        )
    return options


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
