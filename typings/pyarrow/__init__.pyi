"""pyarrow as silmu uses it: it has no types of its own that a strict check could follow."""

from typing import Any

def __getattr__(name: str) -> Any: ...
