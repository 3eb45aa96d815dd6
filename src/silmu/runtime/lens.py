"""Pictures of an environment as a policy reads them: in grey, and smaller.

In whole numbers, so that training and use see the same to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

BRIGHTNESS = (299, 587, 114)
"""Thousandths of red, green and blue in what the eye takes for bright (ITU-R BT.601)."""
MOST = 64


@final
@dataclass(frozen=True)
class Lens:
    """What is done to pictures before they are stacked.

    >>> red = np.array([255, 0, 0], np.uint8).reshape(1, 3, 1, 1).repeat(4, 2).repeat(6, 3)
    >>> Lens(grey=True, smaller=2).array(red).tolist()
    [[[[76, 76, 76], [76, 76, 76]]]]

    Attributes:
        grey: whether three channels, red, green and blue, become one.
        smaller: squares of so many pixels a side become one pixel, their mean; what is left over
            at the right and below is cut off.
    """

    grey: bool = False
    smaller: int = 1

    def __post_init__(self) -> None:
        is_whole = type(self.smaller) is int and 1 <= self.smaller <= MOST
        if not is_whole or type(self.grey) is not bool:
            raise ValueError(f"grey {self.grey!r}, smaller {self.smaller!r}")

    def shape(self, image: tuple[int, int, int]) -> tuple[int, int, int]:
        """What becomes of (channels, height, width)."""
        channels, height, width = image
        if self.grey and channels != len(BRIGHTNESS):
            raise ValueError(f"grey is made of 3 channels, and there are {channels}")
        return 1 if self.grey else channels, height // self.smaller, width // self.smaller

    def array(self, pictures: NDArray[Any]) -> NDArray[Any]:
        """uint8 (rows, channels, height, width) -> uint8 (rows, channels, height, width)"""
        if self == PLAIN:
            return pictures
        side = self.smaller
        height, width = (one // side * side for one in pictures.shape[2:])
        whole = pictures[:, :, :height, :width]
        sums = np.zeros((*whole.shape[:2], height // side, width // side), np.int32)
        for down in range(side):
            for right in range(side):
                sums += whole[:, :, down::side, right::side]
        parts = side * side
        if self.grey:
            red, green, blue = BRIGHTNESS
            sums = red * sums[:, :1] + green * sums[:, 1:2] + blue * sums[:, 2:]
            parts *= sum(BRIGHTNESS)
        return ((sums + parts // 2) // parts).astype(np.uint8)


PLAIN = Lens()
"""Leaves pictures as they are."""
