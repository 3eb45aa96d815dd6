"""Why a model answered a picture as it did: the parts it hangs on, and what each layer makes of it.

Where the model is still in its run, the training pictures that the network takes for most alike are
told too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from silmu.errors import CorruptError, MissingExtraError, UnsupportedModelError
from silmu.runtime.image import load_image
from silmu.steps.evaluate.explaining import Part, best, chosen
from silmu.steps.evaluate.image import learnt, rasters
from silmu.steps.evaluate.image.activations import Activations
from silmu.steps.evaluate.image.maps import filters_of, maps_of
from silmu.steps.evaluate.image.saliency import overlay, saliency
from silmu.steps.evaluate.kinds import kind_of
from silmu.steps.evaluate.markup import html, joined
from silmu.steps.evaluate.words import figure, label_of, shortened

SIDE = 224
"""Pixels of a side that are shown of the picture, at most."""

NEAREST = 8
MOST_COMPARED = 2000
"""Training pictures that a picture is compared with, drawn at random where there are more;"""

MOST_PIXELS = 20_000_000
"""or so many that they have no more pixels together."""

SHOWN = 96


def explain(pipe: Any, given: Any, *, label: str | None = None) -> dict[str, Any]:
    """The answer to a picture, and what it hangs on.

    Returns:
        "kind", "answer" and "of" as everywhere; "picture": URL of what the network reads;
        "saliency": {"cells": [[how far the log-odds of the label, or the number, fall where a part
        is covered]], "image": URL};
        "filters" and "layers" as `layers.details` tells them, null and [] where nothing between
        the layers is known; "nearest": null, or {"compared", "of": how many there are, "pictures":
        [{"row", "label", "similarity", "image"}]}; "notes": what could not be told, and why.
    """
    image = load_image(given, background=pipe.image_processor.background)
    names = [str(pipe.model.config.id2label[i]) for i in range(pipe.model.config.num_labels)]
    kind = kind_of(pipe.fitted, pipe.model.config)
    is_number = kind == "number"
    scores = pipe.outputs([image])[0]
    of = chosen(names, scores, label, numbers=is_number)
    weights = saliency(pipe, image, of)
    pixels = pipe.image_processor.pixels(image)
    found: dict[str, Any] = {
        "kind": kind,
        "answer": best(names, scores, numbers=is_number),
        "of": names[of],
        "picture": rasters.url(rasters.within(pixels, SIDE)),
        "saliency": {
            "cells": [[round(float(x), 6) for x in row] for row in weights],
            "image": overlay(pipe, image, weights, SIDE),
        },
        "filters": None,
        "layers": [],
        "nearest": None,
        "notes": [],
    }
    try:
        network = Activations(pipe)
    except UnsupportedModelError as error:
        found["notes"].append(f"what lies between its layers is not known: {error.message}")
        return found
    found["filters"] = filters_of(network.filters)
    if not network.names:
        found["notes"].append("the network shows nothing between its layers")
        return found
    found["layers"] = maps_of(network, network.of(pixels[None]), 0)
    try:
        found["nearest"] = nearest(pipe, network, pixels)
    except (MissingExtraError, CorruptError) as error:
        said = error.message + (f" ({error.hint})" if error.hint else "")
        found["notes"].append(f"training pictures are not compared: {said}")
    return found


def nearest(pipe: Any, network: Activations, pixels: rasters.Pixels) -> dict[str, Any] | None:
    """The training pictures whose last layer is most like that of a picture.

    Alike is the cosine between what the layer holds, pooled over places, less its mean over the
    training pictures that are compared. None where the model is not in its run.
    """
    folder = Path(pipe.model.folder.path).absolute()
    if not (folder.parent / "2-prepared").is_dir():
        return None
    from silmu import extras

    extras.require("data")
    from silmu.steps.evaluate.trained import training_of
    from silmu.steps.prepare.images import features

    prepared = training_of(folder)
    if prepared is None:
        return None
    train = features(prepared, "train")
    count = len(train.rows)
    most = min(MOST_COMPARED, max(NEAREST, MOST_PIXELS // (pixels.shape[0] * pixels.shape[1])))
    places = np.arange(count)
    if count > most:
        places = np.sort(np.random.default_rng(0).permutation(places)[:most])
    last = network.names[-1]
    there = np.concatenate(
        [
            found[last].features()
            for _, found in network.batches([train.pixels[int(i)] for i in places])
        ]
    )
    own = network.of(pixels[None])[last].features()
    alike = _cosines(there.astype(np.float64), own[0].astype(np.float64))
    order = np.argsort(-alike, kind="stable")[:NEAREST]
    numbers = prepared.dataset.row_numbers
    return {
        "compared": len(places),
        "of": count,
        "pictures": [
            {
                "row": int(numbers[train.rows[places[i]]]),
                "label": label_of(prepared.kind, prepared.labels, train.targets[places[i]]),
                "similarity": float(alike[i]),
                "image": rasters.url(
                    rasters.within(np.asarray(train.pixels[int(places[i])]), SHOWN)
                ),
            }
            for i in order
        ],
    }


def sections(told: Mapping[str, Any]) -> Iterator[Part]:
    """The parts of a page."""
    of = shortened(told["of"])
    number = told["kind"] == "number"
    yield (
        "parts",
        "Which parts decide",
        html(
            '<p class="lead">Patches of two sizes are covered with the mean colour of the '
            "training, one after another (Zeiler and Fergus, 2013). Shaded "
            '<span class="for" style="--w:.8">blue</span> is what {speaks} <bdi>{of}</bdi>: '
            "without it, {less}. What is shaded "
            '<span class="against" style="--w:.8">orange</span> {opposes} it.</p>'
            '<div class="figures-row"><figure>{picture}<figcaption>as the network reads it'
            "</figcaption></figure><figure>{map}<figcaption>covering the strongest part lowers the "
            "{unit} by {most}</figcaption></figure></div>",
            of=of,
            speaks="raises" if number else "speaks for",
            opposes="lowers" if number else "speaks against",
            less="the number is less" if number else "the answer is less sure",
            unit="number" if number else "log-odds",
            picture=learnt.raster(told["picture"], "map", "the picture as the network reads it"),
            map=learnt.raster(told["saliency"]["image"], "map", f"what decides {of}"),
            most=figure(max(max(row) for row in told["saliency"]["cells"])),
        ),
    )
    layers = told["layers"]
    if layers or told["filters"]:
        yield (
            "layers",
            "Layer by layer",
            joined(
                [
                    html('<p class="lead">{meaning}</p>', meaning=learnt.meaning(layers)),
                    learnt.walk(told["picture"], html("from the first layer to the last"), layers)
                    if layers
                    else html(""),
                    learnt.filters(told["filters"] or {}),
                ]
            ),
        )
    if told["nearest"]:
        yield "nearest", "Nearest training pictures", _nearest(told["nearest"])
    if told["notes"]:
        notes = joined(html("<li>{note}</li>", note=note) for note in told["notes"])
        yield "notes", "Not told", html("<ul>{notes}</ul>", notes=notes)


def _nearest(told: Mapping[str, Any]) -> Any:
    some = f"{told['compared']:,}"
    if told["compared"] < told["of"]:
        some += f" of {told['of']:,}, drawn at random,"
    lines = joined(
        html(
            "<figure>{image}<figcaption><bdi>{label}</bdi><br><small>{alike}, row {row}</small>"
            "</figcaption></figure>",
            image=learnt.raster(one["image"], "tall", f"row {one['row']}"),
            label=shortened(one["label"]),
            alike=figure(one["similarity"]),
            row=f"{one['row']:,}",
        )
        for one in told["pictures"]
    )
    return html(
        '<p class="lead">Of the training pictures ({some}) those whose last layer is most like '
        "that of this one, with the cosine between the two.</p>"
        '<div class="strip">{lines}</div>',
        some=some,
        lines=lines,
    )


def _cosines(rows: NDArray[np.float64], one: NDArray[np.float64]) -> NDArray[np.float64]:
    middle = rows.mean(axis=0)
    rows, one = rows - middle, one - middle
    sizes = np.linalg.norm(rows, axis=1) * np.linalg.norm(one)
    return rows @ one / np.maximum(sizes, 1e-12)
