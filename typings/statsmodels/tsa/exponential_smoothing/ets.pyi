from typing import Any

from numpy.typing import NDArray

class ETSResults:
    llf: float
    level: NDArray[Any]
    slope: NDArray[Any]
    season: NDArray[Any]
    initial_seasonal: NDArray[Any]
    smoothing_level: float
    smoothing_trend: float
    smoothing_seasonal: float
    damping_trend: float

class ETSModel:
    def __init__(
        self,
        endog: NDArray[Any],
        *,
        error: str,
        trend: str | None,
        damped_trend: bool,
        seasonal: str | None,
        seasonal_periods: int | None,
        initialization_method: str,
    ) -> None: ...
    def fit(self, *, disp: bool) -> ETSResults: ...
