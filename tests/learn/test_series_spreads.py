"""How far quantiles are stretched on the validation part."""

from __future__ import annotations

import numpy as np
import pytest

from silmu.runtime.series.forecasts import Forecasts
from silmu.steps.train.spreads import spreads

LEVELS = (0.1, 0.5, 0.9)


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e12])
def test_factors_do_not_depend_on_the_unit(size: float) -> None:
    random = np.random.default_rng(4)
    came = size * random.normal(5, 1, (400, 2))
    told = np.broadcast_to(size * np.array([4.5, 5.0, 5.5]), (400, 2, 3))
    low, middle, high = spreads([(Forecasts(told.mean(-1), told), came)], LEVELS)
    assert middle == 1
    # Bands of half a deviation are to be wider by 1.28 / 0.5.
    assert low == pytest.approx(2.56, rel=0.1)
    assert high == pytest.approx(2.56, rel=0.1)
