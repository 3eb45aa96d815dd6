"""Deep learning from a study note to practice.

>>> from silmu import pipeline                                           # doctest: +SKIP
>>> pipeline("sentiment-analysis")("I love this product!")               # doctest: +SKIP
[{'label': 'POSITIVE', 'score': 0.9998...}]
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from silmu.pipelines import pipeline as pipeline
    from silmu.run import Run as Run
    from silmu.run import evaluate as evaluate
    from silmu.run import train as train
    from silmu.runtime.generate.sampling import set_seed as set_seed
    from silmu.runtime.generate.streamers import TextIteratorStreamer as TextIteratorStreamer
    from silmu.runtime.generate.streamers import TextStreamer as TextStreamer

__version__ = "0.1.0"
__all__ = [
    "Run",
    "TextIteratorStreamer",
    "TextStreamer",
    "__version__",
    "evaluate",
    "pipeline",
    "set_seed",
    "train",
]

# numpy's threads, idle since its import, would look for work for a tenth of a second, and slow down
# the engine's start by as much as they take of the machine. So they sleep after 2^18 cycles.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "18")

_MODULES = {
    "Run": "silmu.run",
    "evaluate": "silmu.run",
    "pipeline": "silmu.pipelines",
    "train": "silmu.run",
    "set_seed": "silmu.runtime.generate.sampling",
    "TextIteratorStreamer": "silmu.runtime.generate.streamers",
    "TextStreamer": "silmu.runtime.generate.streamers",
}


def __getattr__(name: str) -> Any:
    # Late, so that `import silmu` and `silmu --help` load neither numpy nor an engine.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    if name[:1].isupper() or name == "logging":
        # An AttributeError's words would not come through: `from silmu import X` says its own.
        from silmu.errors import absent_name

        raise absent_name(name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
