from typing import Any

from numpy.typing import NDArray

class _Distribution:
    def isf(self, share: float) -> float: ...
    def ppf(self, share: float, *parameters: float) -> float: ...
    def sf(self, value: float) -> float: ...

class _Test:
    pvalue: float

t: _Distribution
norm: _Distribution
kstwobign: _Distribution

def rankdata(values: NDArray[Any]) -> NDArray[Any]: ...
def binomtest(k: int, n: int) -> _Test: ...
