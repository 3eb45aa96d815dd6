"""What text generation goes on from: a text or a chat, and its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InputError, UsageError, WrongTypeError

if TYPE_CHECKING:
    from silmu.runtime.text import Tokenizer

ENCODE_OPTIONS = ("add_special_tokens", "truncation", "max_length", "stride")
"""What the tokenizer takes; of a chat, all else goes to its template."""


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
class Seeded:
    """A prompt or chat with a seed of its own."""

    prompt: Any
    seed: Any


def holds_messages(inputs: Sequence[Any]) -> bool:
    """Whether a list is one chat, and not several prompts."""
    return bool(inputs) and isinstance(inputs[0], Mapping)


def seeded(inputs: Any, seeds: Sequence[Any]) -> list[Seeded]:
    """Prompts or chats, each with the seed of its place.

    Raises:
        UsageError: there are not as many of them as seeds.
    """
    prompts = cast("Sequence[Any]", inputs) if isinstance(inputs, list | tuple) else ()
    if len(prompts) != len(seeds) or holds_messages(prompts):
        given = (
            f"{len(prompts)} prompts" if prompts else f"a {type(cast('object', inputs)).__name__}"
        )
        raise UsageError(
            f"seed is a list of {len(seeds)}, and the input is {given}",
            hint="a list of seeds goes with a list of as many prompts or chats",
        )
    return [Seeded(prompt, seed) for prompt, seed in zip(prompts, seeds, strict=True)]


def checked(inputs: Any) -> str | Chat:
    """The prompt or chat that an input is.

    Raises:
        WrongTypeError: it is neither.
    """
    if isinstance(inputs, list | tuple) and holds_messages(cast("Sequence[Any]", inputs)):
        return Chat(cast("Sequence[Any]", inputs))
    if isinstance(inputs, Chat | str):
        return inputs
    raise WrongTypeError(
        "a prompt must be a string or a chat, and this is a "
        f"{type(cast('object', inputs)).__name__}"
    )


def tokens(
    prompt: str | Chat,
    tokenizer: Tokenizer,
    options: dict[str, Any],
    *,
    prefix: str,
    continue_final_message: bool | None,
) -> list[int]:
    """The ids of a prompt, after its prefix, or of a chat in the model's template.

    Raises:
        WrongTypeError: for a prompt an option is given that the tokenizer does not take.
    """
    if isinstance(prompt, str):
        return tokenizer.encode(prefix + prompt, **_known(options)).ids
    goes_on = prompt.goes_on(continue_final_message)
    variables = {k: v for k, v in options.items() if k not in ENCODE_OPTIONS}
    cut = {k: options[k] for k in ("truncation", "max_length") if k in options}
    text = tokenizer.apply_chat_template(
        prompt.messages,
        add_generation_prompt=not goes_on,
        continue_final_message=goes_on,
        tokenize=False,
        **variables,
    )
    return tokenizer.encode(cast("str", text), add_special_tokens=False, **cut).ids


def _known(options: dict[str, Any]) -> dict[str, Any]:
    if unknown := options.keys() - {*ENCODE_OPTIONS}:
        raise WrongTypeError(
            f"unexpected keyword {', '.join(sorted(unknown))}; the tokenizer takes "
            f"{', '.join(ENCODE_OPTIONS)}"
        )
    return options
