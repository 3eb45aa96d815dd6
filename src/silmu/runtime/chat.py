"""Chat templates: a conversation as the text that a model was trained to continue.

A template comes with the model and is a program, so it runs in a sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_TEMPLATE = 1 << 18
_MARK = "THE_LAST_MESSAGE_GOES_ON_HERE "  # in letters that templates hardly replace


def templates(settings: Mapping[str, Any], name: str) -> str | dict[str, str] | None:
    """The template of tokenizer_config.json: one text, or several by name."""
    found: Any = settings.get("chat_template")
    if isinstance(found, list):
        entries = cast("list[Any]", found)
        if all(
            isinstance(entry, dict) and {"name", "template"} <= entry.keys() for entry in entries
        ):
            found = {str(entry["name"]): entry["template"] for entry in entries}
    if found is None:
        return None
    texts: list[Any] = (
        list(cast("dict[str, Any]", found).values()) if isinstance(found, dict) else [found]
    )
    if not all(isinstance(text, str) for text in texts):
        raise InvalidModelError(
            f"`{name}` has a chat_template that is a {type(cast('Any', found)).__name__}; "
            "it must be a text"
        )
    if (size := max((len(str(text)) for text in texts), default=0)) > MAX_TEMPLATE:
        raise InvalidModelError(
            f"`{name}` has a chat_template of {size:,} characters; "
            f"at most {MAX_TEMPLATE:,} are read"
        )
    return cast("str | dict[str, str]", found)


def choose(
    template: str | dict[str, str] | None,
    name: str,
    *,
    asked: str | None = None,
    with_tools: bool = False,
) -> str:
    """The one template to use, of one or several.

    Args:
        template: of the tokenizer.
        name: what to call the tokenizer in a message.
        asked: the name of one of several, or a template in place of the tokenizer's.
        with_tools: whether the conversation has tools, for which some have a template of its own.

    Raises:
        UsageError: there is none.
    """
    if isinstance(template, dict):
        if asked is None:
            asked = "tool_use" if with_tools and "tool_use" in template else "default"
            template = template.get(asked)
        else:
            template = template.get(asked, asked)
    elif asked is not None:
        template = asked
    if template is None:
        raise UsageError(
            f"`{name}` has no chat template, so a conversation cannot be put to it",
            hint="give the prompt as a string, or set pipe.tokenizer.chat_template",
        )
    return template


def conversations(given: Any) -> list[Any] | None:
    """The conversations of a list of several; None where it is one conversation."""
    if isinstance(given, list | tuple) and given:
        several = cast("list[Any]", [*given])
        if isinstance(several[0], list | tuple):
            return several
    return None


def render(
    template: str,
    conversation: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool,
    continue_final_message: bool,
    special_tokens: Mapping[str, str],
    variables: Mapping[str, Any],
) -> str:
    """A conversation through a template.

    Raises:
        UsageError: the template is broken, refuses the conversation, or does not end; or the last
            message is to be continued and answered at once.
    """
    from silmu.runtime import sandbox

    if add_generation_prompt and continue_final_message:
        raise UsageError(
            "add_generation_prompt and continue_final_message exclude each other",
            hint="the last message is either answered or continued",
        )

    messages = _with_marked_end(conversation) if continue_final_message else conversation
    try:
        compiled = sandbox.environment(len(messages)).from_string(template)
        pieces: list[str] = []
        length = 0
        for piece in compiled.generate(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            # What is not given is none, as in transformers, and not undefined: templates ask both.
            **{"tools": None, "documents": None, **special_tokens, **variables},
        ):
            pieces.append(piece)
            length += len(piece)
            if length > sandbox.MAX_CHARACTERS:
                raise UsageError(
                    f"the chat template writes more than {sandbox.MAX_CHARACTERS:,} characters"
                )
    except UsageError:
        raise
    except Exception as error:  # a program of a stranger's may fail in any way
        raise UsageError(f"the chat template does not take this conversation: {error}") from error
    text = "".join(pieces)
    return _cut_at_mark(text, conversation) if continue_final_message else text


def _with_marked_end(conversation: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The conversation with a mark at its very end, which shows where the template put it."""
    last = conversation[-1]
    content = last["content"]
    if isinstance(content, list | tuple):  # of parts, of which the last text is continued
        parts: list[Any] = [*cast("list[Any]", content)]
        place = _last_text(parts)
        parts[place] = {**parts[place], "text": f"{parts[place]['text']}{_MARK}"}
        content = parts
    elif isinstance(content, str):
        content = f"{content}{_MARK}"
    else:
        raise UsageError("continue_final_message needs a last message with a text")
    return [*conversation[:-1], {**last, "content": content}]


def _last_text(parts: Sequence[Any]) -> int:
    """The place of the last part of a message that is a text."""
    for place in range(len(parts) - 1, -1, -1):
        if isinstance(parts[place], dict) and "text" in parts[place]:
            return place
    raise UsageError("continue_final_message needs a last message with a text")


def _cut_at_mark(text: str, conversation: Sequence[Mapping[str, Any]]) -> str:
    """Drops what a template writes after the last message, so that the model goes on with it."""
    content: Any = conversation[-1]["content"]
    if isinstance(content, list | tuple):
        parts = cast("list[Any]", content)
        content = parts[_last_text(parts)]["text"]
    if _MARK.strip() not in text or str(content).strip() not in text:
        raise UsageError(
            "continue_final_message needs a template that writes the last message as it is; "
            "this one changes it"
        )
    place = text.rindex(_MARK.strip())
    # A template that strips its messages would have stripped the end of the last one too.
    is_kept = text.startswith(_MARK, place)
    return text[:place] if is_kept else text[:place].rstrip()
