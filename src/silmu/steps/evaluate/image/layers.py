"""What each layer of a network has learnt, on pictures that it did not train on.

The first filters; what the layers make of a few pictures, from edges to the whole; which pictures a
channel answers most; and how far a straight line gets from each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import SilmuError
from silmu.steps.evaluate.image import probing, rasters
from silmu.steps.evaluate.image.activations import Activations, raw_features
from silmu.steps.evaluate.image.exciting import Strongest, separation
from silmu.steps.evaluate.image.maps import filters_of, maps_of
from silmu.steps.evaluate.image.saliency import kind_of

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PICTURES, FEWEST_OF_LARGE = 400, 100
MOST_PIXELS = 15_000_000
"""Pictures that are looked at, drawn by the seed where there are more; fewer of large ones, for as
many pixels together."""

EXAMPLES = 3
"""Pictures whose maps are seen."""

PICTURE_SIDE = 96
"""So many pixels a side are kept of a picture."""


def details(
    pipe: Any,
    image: Callable[[int], Image],
    targets: NDArray[Any],
    numbers: Sequence[int],
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
) -> dict[str, Any] | None:
    """What the layers of a network have learnt, as a report tells it.

    Args:
        pipe: a pipeline for image-classification.
        image: the picture of each place of `targets`.
        targets: of pictures that the network was not trained on: numbers of labels, 0 or 1 (rows,
            labels), or numbers.
        numbers: of the rows in the source, from 1.
        groups: pictures that belong together.
        seed: of what is drawn.

    Returns:
        pictures    how many were looked at
        size        height and width of what the network reads
        layers      [{"name", "shape": channels, height, width}], those that are shown
        all_layers  how many there are
        filters     null, or {"count", "shown", "size", "image": URL}
        probe       null, or what `probing.probed` gives
        maps        [{"row", "label", "image": URL, "layers": [{"name", "kind": "channels" or
                    "components", "channels": [number, ...], "image": URL}]}]
        exciting    [{"name", "sees": pixels a side or null for all, "channels": [{"channel",
                    "separation", "rows", "labels", "image": URL}]}]

        None where nothing between the layers is known.
    """
    try:
        network = Activations(pipe)
    except SilmuError:
        return None
    if not len(targets) or (not network.names and network.filters is None):
        return None
    places = np.arange(len(targets))
    height, width = pipe.image_processor.size
    most = min(MOST_PICTURES, max(FEWEST_OF_LARGE, MOST_PIXELS // (height * width)))
    if len(places) > most:
        places = np.sort(np.random.default_rng(seed).permutation(places)[:most])
    pixels = [pipe.image_processor.pixels(image(i)) for i in places.tolist()]
    truth = targets[places]
    kind, names = kind_of(pipe), [str(name) for name in pipe.model.config.id2label.values()]
    labels = [_label(kind, names, one) for one in truth]
    rows = [int(numbers[i]) for i in places.tolist()]

    features: dict[str, list[NDArray[np.float32]]] = {name: [] for name in network.names}
    strongest = {name: Strongest() for name in network.names}
    logits: list[NDArray[np.float32]] = []
    shapes: dict[str, list[int]] = {}
    for _, found in network.batches(pixels):
        logits.append(found["logits"].values[:, :, 0, 0])
        for name in network.names:
            features[name].append(found[name].features())
            strongest[name].add(found[name])
            shapes[name] = list(found[name].values.shape[1:])
    own = outputs_of(kind, np.concatenate(logits))
    joined = {probing.PICTURE: np.concatenate([raw_features(one[None]) for one in pixels])}
    joined |= {name: np.concatenate(parts) for name, parts in features.items()}
    told = None
    if network.names:
        told = probing.probed(
            kind,
            joined,
            truth,
            own,
            None if groups is None else groups[places],
            labels=len(names),
            seed=seed,
        )
    examples = _examples(labels)
    shown = network.of(np.stack([pixels[i] for i in examples]))
    return {
        "pictures": len(places),
        "size": list(pixels[0].shape[:2]),
        "layers": [{"name": name, "shape": shapes[name]} for name in network.names],
        "all_layers": len(network.all_names),
        "filters": filters_of(network.filters),
        "probe": told,
        "maps": [
            {
                "row": rows[i],
                "label": labels[i],
                "image": rasters.url(rasters.within(pixels[i], PICTURE_SIDE)),
                "layers": maps_of(network, shown, place, strongest),
            }
            for place, i in enumerate(examples)
        ],
        "exciting": [
            {
                "name": name,
                "sees": _sees(network, name, pixels[0].shape),
                "channels": strongest[name].told(
                    pixels,
                    rows,
                    labels,
                    separation(kind, truth, strongest[name].values),
                    network.fields.get(name),
                ),
            }
            for name in network.names
        ],
    }


def outputs_of(kind: str, logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """What a network says by its logits (rows, labels): probabilities, or numbers."""
    wide = logits.astype(np.float64)
    if kind == "number":
        return wide if wide.shape[1] > 1 else wide[:, 0]
    if kind == "multiple":
        return 1 / (1 + np.exp(-wide))
    raised = np.exp(wide - wide.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def _examples(labels: Sequence[str]) -> list[int]:
    """Places of a few pictures, of as many labels as can be."""
    first = list({label: i for i, label in reversed([*enumerate(labels)])}.values())
    rest = [i for i in range(len(labels)) if i not in first]
    return [*sorted(first), *rest][:EXAMPLES]


def _label(kind: str, names: Sequence[str], truth: Any) -> str:
    if kind in ("single", "ordered"):
        return names[int(truth)]
    if kind == "multiple":
        return ", ".join(name for name, has in zip(names, truth, strict=True) if has) or "(none)"
    return ", ".join(f"{float(one):.4g}" for one in np.atleast_1d(truth))


def _sees(network: Activations, name: str, shape: tuple[int, ...]) -> int | None:
    """How many pixels a place sees across, where they are fewer than there are."""
    field = network.fields.get(name)
    if field is None or network.is_of_tokens(name) or max(field.size) >= max(shape[:2]):
        return None
    return int(max(field.size))
