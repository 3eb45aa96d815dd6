"""What prepare fitted and a pipeline must apply: processor.json of a model folder.

    {"format": 1, "inputs": ["review"], "kind": "single", "max_length": 72, "thresholds": null}

The tokenizer has files of its own. Both prepare and the pipeline make token ids through `encode`,
so that a network reads in use what it read in training.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, cast, final

from silmu.errors import InvalidModelError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from silmu.runtime.folder import Folder
    from silmu.runtime.text import Encoded, Tokenizer

FILE = "processor.json"
FORMAT = 1
KINDS = ("single", "multiple", "ordered", "number")


@final
@dataclass(frozen=True)
class Processor:
    """How a model that silmu trained wants its texts or pictures.

    Attributes:
        inputs: the columns it was trained on: one, or two for pairs of texts.
        kind: `single`, `multiple`, `ordered` or `number`.
        max_length: how many tokens of a text it was trained on; None for pictures.
        thresholds: for `multiple`, from which score on each label is given; None until chosen.
    """

    inputs: tuple[str, ...]
    kind: str
    max_length: int | None
    thresholds: tuple[float, ...] | None = None

    @classmethod
    def open(cls, folder: Folder, *, of_texts: bool = True) -> Processor | None:
        """The processor of a model folder; None where it has none.

        Args:
            folder: of the model.
            of_texts: whether it reads texts, and so must say how much of one.

        Raises:
            InvalidModelError: processor.json is broken.
            UnsupportedModelError: it is of a newer silmu.
        """
        if not folder.has(FILE):
            return None
        values = folder.json(FILE)
        version = values.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise UnsupportedModelError(
                f"{FILE} of `{folder.name}` has format {version}; this silmu reads {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        inputs: Any = values.get("inputs")
        length, kind, thresholds = (values.get(k) for k in ("max_length", "kind", "thresholds"))
        if not (
            version == FORMAT
            and isinstance(inputs, list)
            and 1 <= len(cast("list[Any]", inputs)) <= 2
            and all(isinstance(name, str) for name in cast("list[Any]", inputs))
            and kind in KINDS
            and ((type(length) is int and length >= 1) if of_texts else length is None)
            and _are_thresholds(thresholds)
        ):
            raise InvalidModelError(
                f"{FILE} of `{folder.name}` holds {values!r}, which is not what silmu writes"
            )
        chosen = None if thresholds is None else tuple(float(one) for one in thresholds)
        return cls(tuple(cast("list[str]", inputs)), str(kind), length, chosen)

    def with_thresholds(self, thresholds: Sequence[float] | None) -> Processor:
        """The same with other thresholds."""
        return replace(self, thresholds=None if thresholds is None else tuple(thresholds))

    def to_bytes(self) -> bytes:
        """What processor.json holds."""
        values = {"format": FORMAT, **asdict(self)}
        return json.dumps(values, ensure_ascii=False, indent=1).encode() + b"\n"


def encode(tokenizer: Tokenizer, text: str, pair: str | None = None, **options: Any) -> Encoded:
    """The tokens of a text or a pair, as pipelines make them for a model that silmu trained."""
    return not_empty(tokenizer, tokenizer.encode(text, pair or None, **options))


def not_empty(tokenizer: Tokenizer, encoded: Encoded) -> Encoded:
    """The same tokens; that of the unknown where there are none, since a network reads no nothing.

    It is so for blank texts, where the tokenizer adds no tokens of its own.
    """
    unknown = tokenizer.special_token("unk")
    if len(encoded) or unknown is None:
        return encoded
    return tokenizer.encode(unknown, add_special_tokens=False)


def _are_thresholds(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and all(
        isinstance(one, int | float) and not isinstance(one, bool) and 0 <= one <= 1
        for one in cast("list[Any]", value)
    )
