"""What each layer of a network has learnt, on pictures that it did not train on.

The first filters; what the layers make of a few pictures, from edges to the whole; which pictures a
channel answers most; and how far a straight line gets from each layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import UnsupportedModelError
from silmu.steps.evaluate.image import probing, rasters
from silmu.steps.evaluate.image.activations import Activations, raw_features
from silmu.steps.evaluate.image.exciting import Strongest, separation
from silmu.steps.evaluate.image.maps import filters_of, maps_of
from silmu.steps.evaluate.image.rasters import Pixels
from silmu.steps.evaluate.kinds import kind_of
from silmu.steps.evaluate.words import label_of
from silmu.steps.train.progress import Progress

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
    read: Pixels,
    targets: NDArray[Any],
    numbers: Sequence[int],
    *,
    groups: NDArray[np.int64] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any] | None:
    """What the layers of a network have learnt, as a report tells it.

    Args:
        pipe: a pipeline for image-classification.
        read: (rows, height, width, channels) of the pictures, as the pipeline reads them.
        targets: of pictures that the network was not trained on: numbers of labels, 0 or 1 (rows,
            labels), or numbers.
        numbers: of the rows in the source, from 1.
        groups: pictures that belong together.
        seed: of what is drawn.
        progress: what shows how long it goes; nothing, if not given.

    Returns:
        pictures    how many were looked at
        size        height and width of what the network reads
        layers      [{"name", "shape": channels, height, width}], those that are shown
        all_layers  how many there are
        filters     null, or {"count", "shown", "size", "image": URL}
        probe       null, or what `probing.probed` gives
        maps        [{"row", "label", "image": URL, "layers": [{"name", "kind": "channels" or
                    "components", "channels": [number, ...], "image": URL}]}]
        exciting    [{"name", "sees": pixels of the longer side of what a place sees, or null where
                    it is not known, "channels": [{"channel", "separation", "rows", "labels",
                    "image": URL}]}]

        None where nothing between the layers is known.
    """
    try:
        network = Activations(pipe)
    except UnsupportedModelError:
        return None
    if not len(targets) or (not network.names and network.filters is None):
        return None
    places = np.arange(len(targets))
    height, width = pipe.image_processor.size
    most = min(MOST_PICTURES, max(FEWEST_OF_LARGE, MOST_PIXELS // (height * width)))
    if len(places) > most:
        places = np.sort(np.random.default_rng(seed).permutation(places)[:most])
    pixels = [np.asarray(read[i]) for i in places.tolist()]
    truth = targets[places]
    kind, config = kind_of(pipe.fitted, pipe.model.config), pipe.model.config
    names = [str(config.id2label[i]) for i in range(config.num_labels)]
    labels = [label_of(kind, names, one) for one in truth]
    rows = [int(numbers[i]) for i in places.tolist()]

    features: dict[str, list[NDArray[np.float32]]] = {name: [] for name in network.names}
    strongest = {name: Strongest() for name in network.names}
    logits: list[NDArray[np.float32]] = []
    shapes: dict[str, list[int]] = {}
    shown_by = progress or Progress(quiet=True)
    work = shown_by.work("pictures read layer by layer", len(pixels))
    for _, found in network.batches(pixels):
        logits.append(found["logits"].values[:, :, 0, 0])
        for name in network.names:
            features[name].append(found[name].features())
            strongest[name].add(found[name])
            shapes[name] = list(found[name].values.shape[1:])
        work.done(len(found["logits"].values))
    own = outputs_of(kind, np.concatenate(logits))
    joined = {probing.PICTURE: np.concatenate([raw_features(one[None]) for one in pixels])}
    joined |= {name: np.concatenate(parts) for name, parts in features.items()}
    told = None
    if network.names:
        with shown_by.busy("fitting a line to what each layer holds"):
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


def _sees(network: Activations, name: str, shape: tuple[int, ...]) -> int | None:
    """How many pixels a place sees across; None where it is not known."""
    if name not in network.fields:
        return None
    field = network.fields[name]
    whole = max(shape[:2])
    return whole if field is None else min(int(max(field.size)), whole)
