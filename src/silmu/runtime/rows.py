"""The rows of a batch computed one by one, where an engine lets them change each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

PLACES = "places"
"""An input that names tokens of all rows, counted through, in the order in which they come out."""


def apart(
    run: Callable[[Arrays], dict[str, NDArray[Any]]], feeds: Arrays, per_token: Collection[str]
) -> dict[str, NDArray[Any]]:
    """What each row gives by itself and without its padding, laid together again.

    Args:
        run: computes a batch.
        feeds: arrays of (rows, tokens), `attention_mask` among them, padded on the right.
        per_token: the names of what comes out for each token.
    """
    mask, places = feeds["attention_mask"], feeds.get(PLACES)
    width = mask.shape[1]
    if places is not None and not places.size:
        places = None
    found: list[dict[str, NDArray[Any]]] = []
    order: list[NDArray[np.int64]] = []
    for i in range(len(mask)):
        length = int(mask[i].nonzero()[0].max(initial=-1)) + 1 or width
        own = {k: v[i : i + 1, :length] for k, v in feeds.items() if k != PLACES}
        if places is not None:
            (which,) = np.nonzero(places // width == i)
            if not which.size:
                continue
            order.append(which)
            own[PLACES] = places[which] - i * width
        found.append(run(own))
    if places is not None:
        back = np.argsort(np.concatenate(order))
        names = found[0]
        return {k: np.concatenate([row[k] for row in found], axis=1)[:, back] for k in names}
    return {
        name: _stacked([row[name] for row in found], width if name in per_token else None)
        for name in found[0]
    }


def _stacked(found: list[NDArray[Any]], width: int | None) -> NDArray[Any]:
    if width is None:
        return np.concatenate(found)
    whole = np.zeros((len(found), width, *found[0].shape[2:]), found[0].dtype)
    for i, row in enumerate(found):
        whole[i, : row.shape[1]] = row[0]
    return whole
