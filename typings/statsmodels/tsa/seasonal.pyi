from typing import Any

from numpy.typing import NDArray

class _Parts:
    seasonal: NDArray[Any]
    resid: NDArray[Any]

class STL:
    def __init__(self, endog: NDArray[Any], period: int) -> None: ...
    def fit(self) -> _Parts: ...
