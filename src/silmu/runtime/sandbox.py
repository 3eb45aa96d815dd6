"""Jinja for templates of strangers: nothing from outside, and bounded time and memory.

Jinja's own sandbox keeps a template from what lies outside of it, but not from taking the whole
machine: `{{ "a" * 10**9 }}`. So every value that a template makes passes through `Bounds`, which
counts what it is given and refuses what is too large to be worked with.
"""

from __future__ import annotations

import functools
import json
import re
import time
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from silmu.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Environment
    from jinja2 import nodes as jinja_nodes
    from jinja2.parser import Parser

MAX_TURNS = 200_000
MAX_CHARACTERS = 4 << 20
MAX_ITEMS = 1 << 18
MAX_WORK = 64 << 20
MAX_NUMBER = 10**15
MAX_OPTION = 10_000
MAX_SECONDS = 1.5
SECONDS_A_MESSAGE = 0.005
"""Long conversations take longer: they are the caller's own, and not the template's."""

_UNNEEDED = ("lipsum", "random", "pprint", "striptags", "urlize", "wordwrap", "xmlattr")
# What these make may be as long as the product of what they are given, not as the sum.
_MULTIPLYING = frozenset(
    [
        *("batch", "center", "expandtabs", "format", "format_map", "indent", "join", "ljust"),
        *("replace", "rjust", "round", "slice", "tojson", "translate", "zfill"),
    ]
)
# They look at no item, and templates ask for the number of messages at each of them.
_KNOWN = ("length", "count", "defined", "undefined", "none", "string", "mapping")
# A width in a format: of four digits, or taken from an argument.
_WIDE = re.compile(r"%[^a-zA-Z%]*(?:\d{4}|\*)|\{[^{}]*(?:\d{4}|\{)")


class Bounds:
    """What one rendering may take: turns, time, characters written, and the size of any value."""

    def __init__(self, num_messages: int = 0) -> None:
        self._turns = 0
        self._written = 0
        self._work = 0
        self._seconds = MAX_SECONDS + SECONDS_A_MESSAGE * num_messages
        self._end = time.monotonic() + self._seconds

    def turn(self, literal: int) -> str:
        """Counts a turn of a loop or a call of a macro, whose body has so many characters."""
        self._turns += 1
        self._work += literal
        if self._turns > MAX_TURNS or self._work > MAX_WORK:
            raise UsageError(f"the chat template takes more than {MAX_TURNS:,} turns")
        self._check_time()
        return ""

    def write(self, value: Any) -> Any:
        """Counts a value that is written, be it only into a variable."""
        self._written += self.size(value)
        if self._written > MAX_CHARACTERS:
            raise UsageError(f"the chat template writes more than {MAX_CHARACTERS:,} characters")
        return value

    def value(self, value: Any) -> Any:
        """The same value, if it is of a size that can be worked with."""
        self.size(value)
        return value

    def concat(self, *values: Any) -> str:
        """Values joined as text, as `~` does."""
        self.size(values)
        return "".join(map(str, values))

    def multiply(self, values: Sequence[Any]) -> None:
        """Refuses to make what may be as large as the sizes of the values multiplied."""
        work = 1
        for value in values:
            work *= max(1, self.size(value))
        if work > MAX_WORK:
            raise UsageError(f"the chat template multiplies texts to {work:,} characters")

    def options(self, values: Iterable[Any]) -> None:
        """Refuses widths and counts that no template needs."""
        for value in values:
            if isinstance(value, int) and abs(value) > MAX_OPTION:
                raise UsageError(f"the chat template asks for a width of {value:,}")

    def format(self, text: Any) -> None:
        """Refuses a format that asks for such a width."""
        if isinstance(text, str) and (wide := _WIDE.search(text)):
            raise UsageError(f"the chat template asks for the width {wide[0]!r:.40}")

    def size(self, value: Any) -> int:
        """The characters and items of a value, counted as often as they would be written."""
        self._check_time()
        total = items = 0
        waiting: list[Any] = [value]
        while waiting:
            item = waiting.pop()
            items += 1
            total += 1
            if isinstance(item, str | bytes):
                total += len(item)
            elif isinstance(item, int):
                if abs(item) > MAX_NUMBER:
                    raise UsageError(f"the chat template computes a number over {MAX_NUMBER:,}")
            elif isinstance(item, range):
                total += len(item)
            elif isinstance(item, Mapping):
                waiting.extend(cast("Mapping[Any, Any]", item).keys())
                waiting.extend(cast("Mapping[Any, Any]", item).values())
            elif isinstance(item, Sequence | Set) or type(item).__name__ in _VIEWS:
                waiting.extend(cast("Iterable[Any]", item))
            if total > MAX_CHARACTERS or items + len(waiting) > MAX_ITEMS:
                raise UsageError(
                    f"the chat template makes a value of more than {MAX_CHARACTERS:,} characters"
                )
        return total

    def _check_time(self) -> None:
        if time.monotonic() > self._end:
            raise UsageError(f"the chat template takes longer than {self._seconds:g} s")


_VIEWS = ("dict_keys", "dict_values", "dict_items")


def _now(form: str) -> str:
    return datetime.now().strftime(form)


def environment(num_messages: int = 0) -> Environment:
    """What chat templates are compiled in; made anew for each rendering, whose bounds it keeps."""
    from jinja2 import nodes
    from jinja2.exceptions import TemplateRuntimeError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    bounds = Bounds(num_messages)

    class Bounded(ImmutableSandboxedEnvironment):
        """Puts the bounds around operators, calls, and whatever the syntax makes by itself."""

        intercepted_binops = frozenset(("+", "-", "*", "/", "//", "%", "**"))

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            bounds.size((left, right))
            if operator == "**":
                bounds.options((left, right, left * right))
            elif operator == "%":
                bounds.format(left)
            elif operator == "*" and isinstance(left, str | list | tuple):
                bounds.multiply((cast("Any", left), range(abs(right))))
            elif operator == "*" and isinstance(right, str | list | tuple):
                bounds.multiply((cast("Any", right), range(abs(left))))
            return bounds.value(super().call_binop(context, operator, left, right))

        def call(self, context: Any, function: Any, /, *args: Any, **kwargs: Any) -> Any:
            given = (*args, *kwargs.values())
            bounds.size(given)
            # The sandbox wraps `format`.
            method = getattr(function, "__wrapped__", function)
            owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
            if isinstance(owner, str) and name in _MULTIPLYING:
                bounds.options(given)
                bounds.multiply((owner, *given))
                if name.startswith("format"):
                    bounds.format(owner)
            return bounds.value(super().call(context, function, *args, **kwargs))

        def _parse(
            self, source: str, name: str | None, filename: str | None
        ) -> jinja_nodes.Template:
            tree = super()._parse(source, name, filename)
            for node in tree.find_all((nodes.For, nodes.Macro, nodes.CallBlock)):
                literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
                turn = _call("__turn__", [nodes.Const(literal)])
                node.body.insert(0, nodes.ExprStmt(turn, lineno=node.lineno))
            for node in tree.find_all(nodes.Concat):
                node.nodes = [_call("__concat__", node.nodes)]
            for node in tree.find_all((nodes.List, nodes.Tuple)):
                if getattr(node, "ctx", "load") == "load":
                    node.items = [_checked(item) for item in node.items]
            for node in tree.find_all(nodes.Pair):
                node.key, node.value = _checked(node.key), _checked(node.value)
            for node in tree.find_all(nodes.Compare):
                node.expr = _checked(node.expr)
                for operand in node.ops:
                    operand.expr = _checked(operand.expr)
            return tree

    def _checked(node: Any) -> Any:
        return node if isinstance(node, nodes.Const) else _call("__value__", [node])

    def _call(name: str, arguments: list[Any]) -> Any:
        return nodes.Call(nodes.Name(name, "load"), arguments, [], None, None)

    class Generation(Extension):
        """`{% generation %}` marks what the assistant wrote, for training; here it is just text."""

        tags = {"generation"}  # noqa: RUF012 - Jinja's own way to declare them

        def parse(self, parser: Parser) -> list[jinja_nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> None:
        raise TemplateRuntimeError(message)

    def to_json(
        value: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            sort_keys=sort_keys,
        )

    def bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        # Jinja hands some filters its own state before what the template gives them.
        skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            given = (*args[skipped:], *kwargs.values())
            bounds.size(given)
            if name in _MULTIPLYING:
                bounds.options(given[1:])
                bounds.multiply(given)
                if name == "format":
                    bounds.format(given[0])
            return bounds.value(function(*args, **kwargs))

        return checked

    made = Bounded(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, loopcontrols],
        finalize=bounds.write,
    )
    tables: Any = made  # jinja's own types leave these open
    filters: dict[str, Any] = tables.filters
    tests: dict[str, Any] = tables.tests
    names: dict[str, Any] = tables.globals
    filters["tojson"] = to_json
    for name in _UNNEEDED:
        filters.pop(name, None)
        names.pop(name, None)
    for table in (filters, tests):
        table.update(
            {
                name: bounded(name, function)
                for name, function in table.items()
                if name not in _KNOWN
            }
        )
    names["raise_exception"] = refuse
    names["strftime_now"] = _now
    names["__turn__"] = bounds.turn
    names["__concat__"] = bounds.concat
    names["__value__"] = bounds.value
    return made
