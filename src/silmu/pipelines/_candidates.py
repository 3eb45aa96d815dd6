"""Labels that no model was trained for, and the sentences that they make."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np

from silmu.errors import UsageError, WrongTypeError


def labels(given: Any) -> list[Any]:
    """Labels as a list, or as one text with commas.

    Raises:
        UsageError: there is none, or one is no text.
    """
    if isinstance(given, str):
        given = [label.strip() for label in given.split(",") if label.strip()]
    kind = type(cast("object", given)).__name__
    try:
        found = [] if isinstance(given, Mapping | bytes) else list(cast("Iterable[Any]", given))
    except TypeError as error:
        raise WrongTypeError(
            f"candidate_labels is a {kind}; it must be a list of texts, or one text with commas"
        ) from error
    if not found:
        raise UsageError(f"candidate_labels is a {kind} without a label", hint="give a list")
    for label in found:
        if not isinstance(label, str | int | float | np.generic):
            raise WrongTypeError(f"a label is a {type(label).__name__}; it must be a text")
    return found


def check_template(template: Any) -> None:
    """Refuses a template without a place for a label.

    Raises:
        UsageError: as told.
    """
    if not isinstance(template, str):
        raise WrongTypeError(f"hypothesis_template is a {type(template).__name__}, not a text")
    if sentence(template, "a label") == template:
        raise UsageError(
            f"hypothesis_template {template!r} has no place for a label",
            hint="write {} where the label goes",
        )


def sentence(template: str, label: Any) -> str:
    """What a label makes in the place of `{}`.

    Raises:
        UsageError: the template does not take it.
    """
    try:
        return template.format(label)
    except (LookupError, ValueError, AttributeError) as error:
        raise UsageError(
            f"a label cannot be put into hypothesis_template {template!r}: {error}",
            hint="write {} where the label goes",
        ) from error
