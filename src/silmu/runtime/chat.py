"""Chat templates: a conversation as the text that a model was trained to continue.

A template comes with the model and is a program, so it runs in Jinja's immutable sandbox, with a
bound on its output and on the turns of all its loops together.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import InvalidModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jinja2 import nodes as jinja_nodes
    from jinja2.parser import Parser

MAX_TURNS = 200_000
MAX_CHARACTERS = 4 << 20
_MARK = "[the last message goes on here] "


def templates(settings: Mapping[str, Any], name: str) -> str | dict[str, str] | None:
    """The template of tokenizer_config.json: one text, or several by name."""
    found = settings.get("chat_template")
    if isinstance(found, list):
        entries = cast("list[Any]", found)
        if all(isinstance(entry, dict) and {"name", "template"} <= entry.keys() for entry in entries):
            found = {str(entry["name"]): str(entry["template"]) for entry in entries}
    if found is None or isinstance(found, str | dict):
        return cast("str | dict[str, str] | None", found)
    raise InvalidModelError(f"`{name}` has a chat_template that is a {type(found).__name__}")


def choose(template: str | dict[str, str] | None, name: str) -> str:
    """The one template to use, of one or several.

    Raises:
        UsageError: there is none.
    """
    if isinstance(template, dict):
        template = template.get("default")
    if template is None:
        raise UsageError(
            f"`{name}` has no chat template, so a conversation cannot be put to it",
            hint="give the prompt as a string, or set pipe.tokenizer.chat_template",
        )
    return template


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
        UsageError: the template is broken, refuses the conversation, or does not end.
    """
    from jinja2 import TemplateError

    turns = _Turns()
    messages = _with_marked_end(conversation) if continue_final_message else conversation
    try:
        compiled = _environment(turns).from_string(template)
        pieces: list[str] = []
        length = 0
        for piece in compiled.generate(
            messages=messages,
            add_generation_prompt=add_generation_prompt,
            **special_tokens,
            **variables,
        ):
            pieces.append(piece)
            length += len(piece)
            if length > MAX_CHARACTERS:
                raise UsageError(f"the chat template writes more than {MAX_CHARACTERS:,} characters")
    except UsageError:
        raise
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError,
            RecursionError, MemoryError) as error:
        raise UsageError(f"the chat template does not take this conversation: {error}") from error
    text = "".join(pieces)
    return _cut_at_mark(text, conversation) if continue_final_message else text


def _with_marked_end(conversation: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The conversation with a mark at its very end, which shows where the template put it."""
    last = conversation[-1]
    return [*conversation[:-1], {**last, "content": f"{last['content']}{_MARK}"}]


def _cut_at_mark(text: str, conversation: Sequence[Mapping[str, Any]]) -> str:
    """Drops what a template writes after the last message, so that the model goes on with it."""
    if _MARK.strip() not in text or str(conversation[-1]["content"]).strip() not in text:
        raise UsageError(
            "continue_final_message needs a template that writes the last message as it is; "
            "this one changes it"
        )
    place = text.rindex(_MARK.strip())
    # A template that strips its messages would have stripped the end of the last one too.
    is_kept = text.startswith(_MARK, place)
    return text[:place] if is_kept else text[:place].rstrip()


class _Turns:
    """Counts the turns of every loop and the calls of every macro of one rendering."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        if self.count > MAX_TURNS:
            raise UsageError(f"the chat template takes more than {MAX_TURNS:,} turns")
        return ""


def _environment(turns: Callable[[], str]) -> Any:
    from jinja2 import nodes
    from jinja2.exceptions import TemplateRuntimeError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Counted(ImmutableSandboxedEnvironment):
        """Puts a call of `turns` at the head of every loop and macro, where it cannot be missed."""

        def _parse(
            self, source: str, name: str | None, filename: str | None
        ) -> jinja_nodes.Template:
            tree = super()._parse(source, name, filename)
            for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
                call = nodes.Call(nodes.Name("__turn__", "load"), [], [], None, None)
                node.body.insert(0, nodes.ExprStmt(call, lineno=node.lineno))
            return tree

    class Generation(Extension):
        """`{% generation %}` marks what the assistant wrote, for training; here it is just text."""

        tags = {"generation"}  # noqa: RUF012 - Jinja's own way to declare them

        def parse(self, parser: Parser) -> list[jinja_nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateRuntimeError(message)

    def to_json(value: Any, indent: int | None = None, **_: Any) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = Counted(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    environment.globals["__turn__"] = turns
    return environment
