"""First filters and feature maps, as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.steps.evaluate.image import rasters

if TYPE_CHECKING:
    from silmu.steps.evaluate.image.activations import Activations, Map
    from silmu.steps.evaluate.image.exciting import Strongest
    from silmu.steps.evaluate.image.rasters import Pixels

MOST_FILTERS = 64
FILTERS_A_ROW = 16
MOST_CHANNELS = 6
"""Channels of a layer whose maps of a picture are seen."""

FILTER_SIDE, MAP_SIDE = 32, 32
"""So many pixels a side are kept of each,"""

LEAST = 24
"""and those of smaller ones are made larger until there are so many."""


def filters_of(filters: NDArray[np.float32] | None) -> dict[str, Any] | None:
    """The first filters as one picture, each by itself from its least to its most."""
    if filters is None:
        return None
    count, channels, height, width = filters.shape
    some = filters[:MOST_FILTERS].astype(np.float64)
    most = np.abs(some).max(axis=(1, 2, 3), keepdims=True)
    # Zero is the middle grey: what a filter takes away is darker, what it adds is lighter.
    scaled = 127.5 + 127.5 * some / np.where(most > 0, most, 1)
    tiles = np.rint(scaled).astype(np.uint8).transpose(0, 2, 3, 1)
    if channels not in (1, 3):
        tiles = tiles.astype(np.float64).mean(axis=3, keepdims=True).astype(np.uint8)
    shown = [rasters.enlarged(rasters.within(tile, FILTER_SIDE), LEAST) for tile in tiles]
    # On black, for the grey of other tiles is what zero is here.
    whole = rasters.tiled(shown, FILTERS_A_ROW, between=0)
    return {
        "count": count,
        "shown": len(tiles),
        "size": [height, width],
        "image": rasters.url(whole, exact=True),
    }


def maps_of(
    network: Activations,
    found: dict[str, Map],
    place: int,
    beside: dict[str, Strongest] | None = None,
) -> list[dict[str, Any]]:
    """What the layers make of one of the pictures that were computed.

    Of convolutions the channels are shown that answer it most, set against what they answer to
    other pictures where these are known. Of tokens the first three principal components, as red,
    green and blue, and the length of each: patches of one colour mean the same to the network
    (Oquab et al., DINOv2, 2023).
    """
    told: list[dict[str, Any]] = []
    for name in network.names:
        values = found[name].values
        if values.shape[2:] == (1, 1):  # nothing lies beside anything
            continue
        tokens = network.is_of_tokens(name)
        if tokens:
            tiles, channels = _components(values, place), list[int]()
        else:
            channels = _active(values, place, None if beside is None else beside[name])
            tiles = [rasters.inked(rasters.spread(values[place, i])) for i in channels]
        small = [rasters.enlarged(rasters.within(one, MAP_SIDE), LEAST) for one in tiles]
        strip = rasters.tiled(small, MOST_CHANNELS)
        kind = "components" if tokens else "channels"
        told.append({"name": name, "kind": kind, "channels": channels, "image": rasters.url(strip)})
    return told


def _active(values: NDArray[np.float32], place: int, beside: Strongest | None) -> list[int]:
    """The channels that answer a picture most, of those whose maps are not flat; one at least."""
    own = values[place].max(axis=(1, 2)).astype(np.float64)
    if beside is not None:
        others = beside.values
        own = (own - others.mean(axis=0)) / (others.std(axis=0) + 1e-6)
    flat = np.ptp(values[place].reshape(len(own), -1), axis=1) <= 0
    order = np.argsort(np.where(flat, np.inf, -own), kind="stable")
    count = min(MOST_CHANNELS, max(1, int((~flat).sum())))
    return [int(i) for i in order[:count]]


def _components(values: NDArray[np.float32], place: int) -> list[Pixels]:
    """Three principal components of tokens as colours, and their lengths.

    The components are those of all pictures at hand, so that a colour means the same in each.
    """
    rows, hidden, height, width = values.shape
    flat = values.transpose(0, 2, 3, 1).reshape(-1, hidden).astype(np.float64)
    centred = flat - flat.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    first = directions[:3]
    # A direction and its opposite are one component: the largest number is made to be above zero.
    largest = np.abs(first).argmax(axis=1)
    first = first * np.sign(first[np.arange(len(first)), largest])[:, None]
    scores = centred @ first.T
    low, high = np.quantile(scores, [0.02, 0.98], axis=0)
    colours = np.clip((scores - low) / np.maximum(high - low, 1e-12), 0, 1)
    if colours.shape[1] < 3:
        colours = np.repeat(colours[:, :1], 3, axis=1)
    painted = np.rint(255 * colours).astype(np.uint8).reshape(rows, height, width, 3)
    lengths = np.linalg.norm(flat, axis=1).reshape(rows, height, width)
    return [painted[place], rasters.inked(rasters.spread(lengths[place]))]
