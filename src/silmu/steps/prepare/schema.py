"""The schema that goes into a model folder: which columns, of what type, holding what."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from silmu.runtime.schema import Column, Schema, type_of
from silmu.steps.prepare.numeric import PLAIN

if TYPE_CHECKING:
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.labels import Labels


def make(
    dataset: Dataset, labels: Labels, texts: Iterable[tuple[str, ...]] | None = None
) -> Schema:
    """The schema of a dataset.

    Args:
        dataset: whose columns it tells of.
        labels: of the training split.
        texts: the training texts, and no others; read once. None for a table.
    """
    roles = dataset.roles
    role_of = dict.fromkeys(roles.input, "input") | dict.fromkeys(roles.target, "target")
    for role, name in (("group", roles.group), ("time", roles.time), ("split", roles.split)):
        if name is not None:
            role_of.setdefault(name, role)
    span_of = {} if texts is None else _spans(roles.input, texts)
    how = dict(zip(labels.columns, labels.written, strict=False))
    columns: list[Column] = []
    for field in dataset.schema:
        name, kind = field.name, type_of(str(field.type))
        role = role_of.get(name, "other")
        if role == "target":
            of_column = ("0", "1") if labels.form == "columns" else labels.names
            columns.append(Column(name, role, kind, of_column, written=how.get(name, PLAIN)))
        else:
            columns.append(Column(name, role, kind, characters=span_of.get(name)))
    return Schema(tuple(columns))


def _spans(names: Sequence[str], texts: Iterable[tuple[str, ...]]) -> dict[str, tuple[int, int]]:
    """How short and how long the texts of each column are."""
    spans = [[2**63, 0] for _ in names]
    for parts in texts:
        for span, part in zip(spans, parts, strict=True):
            span[0], span[1] = min(span[0], len(part)), max(span[1], len(part))
    return {name: (least, most) for name, (least, most) in zip(names, spans, strict=True)}
