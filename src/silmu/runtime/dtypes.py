"""Names of precisions, as transformers.js has them; torch's names are taken too."""

from __future__ import annotations

import difflib
from typing import Any

from silmu.errors import UsageError

SUFFIXES = {
    "fp32": "",
    "fp16": "_fp16",
    "q8": "_quantized",
    "int8": "_int8",
    "uint8": "_uint8",
    "q4": "_q4",
    "q4f16": "_q4f16",
    "bnb4": "_bnb4",
    "q2": "_q2",
    "q2f16": "_q2f16",
    "q1": "_q1",
    "q1f16": "_q1f16",
}
"""What stands between the name of a graph and `.onnx`, for each precision."""

AUTO = "auto"
"""The engine and precision that are measured to be the quickest here."""
BOUNDS = ("max_drift", "labelled", "metric", "max_loss", "input", "target")
"""What says how far AUTO may be from fp32, among model_kwargs."""
_TORCH = {"float32": "fp32", "float": "fp32", "float16": "fp16", "half": "fp16", "bfloat16": "bf16"}
_NAMES = (AUTO, "bf16", *SUFFIXES)


def canonical(dtype: Any) -> str | None:
    """The name of a precision that may come as torch's or numpy's type; None where nobody says.

    >>> canonical("torch.bfloat16"), canonical(None), canonical("q8")
    ('bf16', None, 'q8')

    Raises:
        UsageError: it is none.
    """
    if dtype is None:
        return None
    given = getattr(dtype, "__name__", None) or str(dtype)
    name = given.removeprefix("torch.")
    name = _TORCH.get(name, name)
    if name not in _NAMES:
        near = difflib.get_close_matches(name, _NAMES, n=1)
        raise UsageError(
            f"dtype is {dtype!r}; it may be {', '.join(_NAMES)}",
            hint=f"did you mean {near[0]!r}?" if near else "leave it out for fp32",
        )
    return name
