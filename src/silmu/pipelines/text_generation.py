"""Continue a text or a chat, one token after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast, final

import numpy as np

from silmu.errors import InputError, UsageError
from silmu.pipelines._base import Pipeline, is_stream
from silmu.runtime.decoder import CachedDecoder
from silmu.runtime.generate import Settings, generate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.pipelines._model import ModelOutput

ARCHITECTURES = ("ForCausalLM", "LMHeadModel")
DEFAULT_MODEL = ("openai-community/gpt2", "607a30d")

DEFAULTS: dict[str, Any] = {"max_new_tokens": 256, "do_sample": True, "temperature": 0.7}
RETURN_TYPES = ("TENSORS", "NEW_TEXT", "FULL_TEXT")
_NOT_SETTINGS = ("streamer", "stopping_criteria", "logits_processor")


@dataclass(frozen=True)
class Chat:
    """A conversation, which is one input although it is a list."""

    messages: Sequence[Mapping[str, Any]]

    def __post_init__(self) -> None:
        for message in self.messages:
            if not {"role", "content"} <= message.keys():
                raise InputError(
                    f"a message has the keys {', '.join(message)}; it needs `role` and `content`"
                )

    @property
    def is_prefill(self) -> bool:
        """Whether it ends in the assistant's own words, which are then to be continued."""
        return bool(self.messages) and self.messages[-1]["role"] == "assistant"


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
        inputs: a prompt, a chat (a list of dicts with `role` and `content`), or a list of either.
        return_full_text: whether the prompt, or the chat, comes back before what is new.
        return_tensors: True gives `generated_token_ids` instead of text.
        clean_up_tokenization_spaces, skip_special_tokens: how ids become text.
        prefix: put before every prompt, and not given back.
        handle_long_generation: `hole` cuts a prompt from the left so that the answer has room.
        stop_sequence: a string, or several, at which to stop.
        continue_final_message: whether the last message of a chat is to be continued.
        truncation, max_length, padding, add_special_tokens, tokenizer_encode_kwargs: for the
            tokenizer.
        streamer: is given tokens as they come; see `silmu.runtime.generate`.

    Any other keyword is a generation setting; `silmu.runtime.generate.Settings` lists them all.

    Raises:
        InputError: not a prompt, or one that leaves no room for an answer.
        UsageError: a setting is unknown or out of range.
    """

    head = "text-generation"
    token_budget: ClassVar[int] = 4096

    def __init__(self, *args: Any, **parameters: Any) -> None:
        self._given_at_construction: dict[str, Any] = {}
        super().__init__(*args, **parameters)
        repository = self.model.folder.optional_json("generation_config.json")
        self._repository = Settings.differing(repository)
        settings = {**DEFAULTS, **self._repository, **self._parameters[1]}
        own = (self.model.config.task_specific_params or {}).get(self.task)
        if isinstance(own, Mapping):
            specific = dict(cast("Mapping[str, Any]", own))
            prefix = specific.pop("prefix", None)
            if prefix and "prefix" not in self._parameters[0]:
                self._parameters[0]["prefix"] = prefix
            settings |= specific
        if settings["max_new_tokens"] == DEFAULTS["max_new_tokens"] and "max_length" in settings:
            del settings["max_new_tokens"]
        self.generation_config = settings
        self._parameters = (self._parameters[0], {}, self._parameters[2])
        self._decoder = CachedDecoder(self.model.session, self.model.max_tokens)

    def __call__(self, inputs: Any, *args: Any, **parameters: Any) -> Any:
        if isinstance(inputs, list | tuple):
            several = cast("Sequence[Any]", inputs)
            if several and isinstance(several[0], Mapping):
                return super().__call__(Chat(several), *args, **parameters)
            return super().__call__([_as_chat(item) for item in several], *args, **parameters)
        if is_stream(inputs) and isinstance(inputs, Iterator):
            inputs = (_as_chat(item) for item in cast("Iterator[Any]", inputs))
        return super().__call__(inputs, *args, **parameters)

    def _sanitize_parameters(
        self,
        return_full_text: bool | None = None,
        return_tensors: bool | None = None,
        return_text: bool | None = None,
        return_type: Any = None,
        clean_up_tokenization_spaces: bool | None = None,
        prefix: str | None = None,
        handle_long_generation: str | None = None,
        stop_sequence: str | Sequence[str] | None = None,
        truncation: Any = None,
        max_length: int | None = None,
        continue_final_message: bool | None = None,
        skip_special_tokens: bool | None = None,
        tokenizer_encode_kwargs: dict[str, Any] | None = None,
        add_special_tokens: bool | None = None,
        padding: Any = None,
        **settings: Any,
    ) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        del padding  # the engine's affair
        if handle_long_generation not in (None, "hole"):
            raise UsageError(
                f"handle_long_generation is {handle_long_generation!r}; it may be None or 'hole'"
            )
        if max_length is not None:
            settings["max_length"] = max_length
            # Here silmu differs from 4.57 on purpose, which lets its own 256 new tokens win.
            settings.setdefault("max_new_tokens", None)
        if stop_sequence is not None:
            settings["stop_strings"] = stop_sequence
        preprocess = {
            "prefix": prefix,
            "hole": handle_long_generation == "hole" or None,
            "truncation": truncation,
            "max_length": max_length,
            "continue_final_message": continue_final_message,
            "add_special_tokens": add_special_tokens,
            "tokenizer_encode_kwargs": tokenizer_encode_kwargs,
            "settings": settings,
        }
        postprocess = {
            "return_type": _return_type(return_full_text, return_tensors, return_text, return_type),
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
            "continue_final_message": continue_final_message,
            "skip_special_tokens": skip_special_tokens,
        }
        return _given(preprocess), settings, _given(postprocess)

    def preprocess(
        self,
        inputs: Any,
        *,
        prefix: str = "",
        hole: bool = False,
        truncation: Any = None,
        max_length: int | None = None,
        continue_final_message: bool | None = None,
        add_special_tokens: bool = True,
        tokenizer_encode_kwargs: dict[str, Any] | None = None,
        settings: Mapping[str, Any],
    ) -> dict[str, Any]:
        options = {"add_special_tokens": add_special_tokens, "truncation": truncation}
        if truncation:
            options["max_length"] = max_length
        options |= tokenizer_encode_kwargs or {}
        if isinstance(inputs, Chat):
            ids = self._chat_ids(inputs, continue_final_message, options)
        elif isinstance(inputs, str):
            options.pop("padding", None)
            ids = self.tokenizer.encode(prefix + inputs, **options).ids
        else:
            raise InputError(
                f"a prompt must be a string or a chat, and this is a {type(inputs).__name__}"
            )
        if hole:
            ids = self._make_room(ids, settings)
        prefix_length = 0
        if prefix:
            special = add_special_tokens
            prefix_length = len(self.tokenizer.encode(prefix, add_special_tokens=special))
        known = list(ids)
        if not ids:
            ids = [self._beginning()]
        return {
            "input_ids": np.array([ids], np.int64),
            "attention_mask": np.ones((1, len(ids)), np.int64),
            "prefix_length": np.array([[prefix_length]], np.int64),
            "known": known,
            "prompt": inputs,
        }

    def _forward(self, model_inputs: dict[str, Any], **given: Any) -> Mapping[str, Any]:
        extras = {name: given.pop(name) for name in _NOT_SETTINGS if given.get(name) is not None}
        settings = self._settings(given)
        ids: NDArray[np.int64] = model_inputs["input_ids"]
        lengths = model_inputs["attention_mask"].sum(axis=1)
        prefix = int(model_inputs["prefix_length"].max())
        if prefix and settings.max_new_tokens is None:
            settings = settings.longer(prefix)
        answers = generate(
            self._decoder,
            [row[:length].tolist() for row, length in zip(ids, lengths, strict=True)],
            settings,
            decode=self.tokenizer.decode,
            **extras,
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
        prompt: str | Chat = model_outputs["prompt"]
        ids: list[int] = model_outputs["input_ids"][0].tolist()
        how = {
            "skip_special_tokens": skip_special_tokens,
            "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        }
        start = len(self.tokenizer.decode(model_outputs["known"], **how))
        records: list[dict[str, Any]] = []
        for answer in model_outputs["generated"]:
            whole = [*ids, *answer.tokens]
            if return_type == "TENSORS":
                records.append({"generated_token_ids": whole})
                continue
            text: Any = self.tokenizer.decode(whole, **how)[start:]
            if return_type == "FULL_TEXT":
                text = _after(prompt, text, continue_final_message)
            records.append({"generated_text": text})
        return records

    def _settings(self, given: Mapping[str, Any]) -> Settings:
        """All settings of a call, from the lowest layer to the highest."""
        given = dict(given)
        config = given.pop("generation_config", None)
        if config is None:
            layers = [self.generation_config, given]
        else:
            values = config.to_dict() if hasattr(config, "to_dict") else vars(config)
            layers = [self._repository, Settings.differing(values), given]
        special = {
            f"{role}_token_id": self.tokenizer.special_id(role) for role in ("bos", "eos", "pad")
        }
        config_ids = {
            name: value
            for name, value in self.model.config.to_dict().items()
            if name in special and value is not None
        }
        return Settings.merged({**special, **config_ids}, *layers)

    def _chat_ids(
        self, chat: Chat, continue_final_message: bool | None, options: dict[str, Any]
    ) -> list[int]:
        goes_on = chat.is_prefill if continue_final_message is None else continue_final_message
        given = {k: v for k, v in options.items() if k not in ("add_special_tokens", "padding")}
        cut = {k: given.pop(k) for k in ("truncation", "max_length") if k in given}
        text = self.tokenizer.apply_chat_template(
            chat.messages,
            add_generation_prompt=not goes_on,
            continue_final_message=goes_on,
            tokenize=False,
            **given,
        )
        return self.tokenizer.encode(cast("str", text), add_special_tokens=False, **cut).ids

    def _make_room(self, ids: list[int], given: Mapping[str, Any]) -> list[int]:
        limit = min(self.tokenizer.model_max_length, self.model.max_tokens)
        room = self._settings({k: v for k, v in given.items() if k not in _NOT_SETTINGS}).budget(
            len(ids)
        )
        if len(ids) + room <= limit:
            return ids
        if limit - room <= 0:
            raise UsageError(
                f"{room} new tokens are asked for, and the model sees {limit} in all",
                hint="ask for fewer with max_new_tokens",
            )
        return ids[-(limit - room) :]

    def _beginning(self) -> int:
        bos = self.tokenizer.special_id("bos")
        if bos is None:
            raise InputError("the prompt is empty, and the model has no token to begin with")
        return bos


def _as_chat(item: Any) -> Any:
    return Chat(cast("Sequence[Any]", item)) if isinstance(item, list | tuple) else item


def _after(prompt: str | Chat, text: str, continue_final_message: bool | None) -> Any:
    """What is new, behind the prompt or as a message of the chat."""
    if isinstance(prompt, str):
        return prompt + text
    messages = list(prompt.messages)
    goes_on = prompt.is_prefill if continue_final_message is None else continue_final_message
    if goes_on:
        last = messages[-1]
        return [*messages[:-1], {"role": last["role"], "content": last["content"] + text}]
    return [*messages, {"role": "assistant", "content": text}]


def _return_type(
    full_text: bool | None, tensors: bool | None, text: bool | None, given: Any
) -> str | None:
    if given is not None:
        name = str(getattr(given, "name", given)).upper()
        return RETURN_TYPES[given] if isinstance(given, int) else name
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


def _given(parameters: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if value is not None}
