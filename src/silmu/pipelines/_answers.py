"""What is told of a generated text, in the shapes of transformers 4.57."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from silmu.errors import UsageError

if TYPE_CHECKING:
    from silmu.pipelines._prompts import Chat
    from silmu.runtime.generate import Answer, Settings

RETURN_TYPES = ("TENSORS", "NEW_TEXT", "FULL_TEXT")


def return_type(
    full_text: bool | None, tensors: bool | None, text: bool | None, given: Any
) -> str | None:
    """What comes back, one of RETURN_TYPES; None where that is not asked.

    Args:
        full_text, tensors, text: the parameters `return_full_text`, `return_tensors` and
            `return_text`, which exclude each other.
        given: `return_type`, which goes before them; of transformers it is an enum.

    Raises:
        UsageError: it is no such type, or two are asked for.
    """
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


def continued(prompt: str | Chat, text: str, continue_final_message: bool | None) -> Any:
    """What is new, behind the prompt or as a message of the chat."""
    if isinstance(prompt, str):
        return prompt + text
    messages = list(prompt.messages)
    if prompt.goes_on(continue_final_message):
        last = messages[-1]
        return [*messages[:-1], {"role": last["role"], "content": last["content"] + text}]
    return [*messages, {"role": "assistant", "content": text}]


def extras(answer: Answer, num_answers: int, settings: Settings) -> dict[str, Any]:
    """What return_dict_in_generate adds, in the shapes of 4.57."""
    if not settings.return_dict_in_generate:
        return {}
    found: dict[str, Any] = {
        name: [row.tolist() for row in rows]
        for name, rows in (("scores", answer.scores), ("logits", answer.logits))
        if rows
    }
    if answer.score is not None and num_answers == 1:
        if settings.output_scores:
            found["sequences_scores"] = [answer.score]
        found["beam_indices"] = [answer.path]
    return found
