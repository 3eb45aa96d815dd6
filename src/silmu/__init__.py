"""Deep learning from a study note to practice.

>>> from silmu import pipeline                                           # doctest: +SKIP
>>> pipeline("sentiment-analysis")("I love this product!")               # doctest: +SKIP
[{'label': 'POSITIVE', 'score': 0.9998...}]
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silmu.pipelines import pipeline as pipeline

__version__ = "0.1.0"
__all__ = ["__version__", "pipeline"]


def __getattr__(name: str) -> Any:
    # Late, so that `import silmu` and `silmu --help` load neither numpy nor an engine.
    if name == "pipeline":
        from silmu.pipelines import pipeline

        return pipeline
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
