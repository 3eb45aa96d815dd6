"""Series: cut by time, put on one grid, and read as the network reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from silmu import store
from silmu.errors import InputError
from silmu.runtime.folder import Folder
from silmu.runtime.series import processor as processors
from silmu.runtime.series.processor import SeriesProcessor
from silmu.runtime.series.windows import Tracks
from silmu.steps.collect import series as collected
from silmu.steps.prepare import prepared, splits, windows
from silmu.steps.prepare import schema as schemas
from silmu.steps.prepare.arrays import open_array, write_array
from silmu.steps.prepare.labels import Labels
from silmu.steps.prepare.splits import Split
from silmu.steps.prepare.windows import Cuts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from silmu.runtime.series.frame import Series
    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.prepare.settings import SeriesSettings

METHOD = "time"
FUTURE = "rows after the last target, which tell of what is to come"
LATER = "rows of later parts of time"
GAP = "rows between the parts, in the gap that was asked for"
CUTS = "cuts"
EARLIER, UNTIL = "earlier", "until"
"""Where earlier parts of time end that are tested on too; and where all ends that is seen."""
BACKTEST = "4-backtest"
"""The folder of a run with a folder for each of them, numbered from the latest on."""
OF_STEPS = ("values", "observed", "time_features")
OF_SERIES = ("static_real", "static_categorical")
"""The fields of `Tracks` that have a number for each step, and for each series."""


@final
class SeriesFeatures:
    """The series up to the end of validation, and the windows of one split.

    Attributes:
        windows: int64 (windows, 2): the number of the series, and the place where targets begin.
        tracks: of each series, as a network sees it.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.windows: NDArray[np.int64] = open_array(self.folder / "windows.npy")
        place = self.folder.parent / "tracks"
        names = ("starts", "scale", *OF_STEPS, *OF_SERIES)
        self._arrays = {name: open_array(place / f"{name}.npy") for name in names}
        self.tracks = tuple(_open_tracks(self._arrays))

    def __len__(self) -> int:
        return len(self.windows)

    def __reduce__(self) -> tuple[type[SeriesFeatures], tuple[str]]:
        return SeriesFeatures, (str(self.folder),)

    def told(self, windows: NDArray[np.int64], steps: int) -> NDArray[np.float64]:
        """What came after windows, (windows, steps) in the user's unit; NaN if not observed."""
        first = self._arrays["starts"][windows[:, 0]] + windows[:, 1]
        places = first[:, None] + np.arange(steps)
        return np.where(self._arrays["observed"][places], self._arrays["values"][places], np.nan)

    def blocks(self, windows: NDArray[np.int64], steps: int) -> NDArray[np.int64]:
        """(windows,): of each the block of time that it begins in, as long as so many steps.

        Blocks are counted from where the validation part, and most series, end.
        """
        lengths = np.array([len(one.values) for one in self.tracks])
        return (lengths[windows[:, 0]] - windows[:, 1]) // steps


def features(found: prepared.Prepared, split: str) -> SeriesFeatures:
    """What a network reads of the training or the validation split."""
    return SeriesFeatures(found.features_path(split))


def processor_of(found: prepared.Prepared) -> SeriesProcessor:
    """What was fitted to the training part."""
    return SeriesProcessor.open(Folder(found.processor, str(found.processor)))


def cuts_of(found: prepared.Prepared) -> Cuts:
    """Where validation and test begin."""
    return Cuts(**found.about[CUTS])


def whole(found: prepared.Prepared) -> tuple[Series, ...]:
    """All series of the dataset from beginning to end; for evaluate, once training is done.

    Of a part of a backtest, to where that ends.
    """
    return _until(collected.read(found.dataset).series, found.about.get(UNTIL))


def earlier_of(found: prepared.Prepared) -> tuple[int, ...]:
    """Where earlier parts of time end that are tested on too, the latest first."""
    return tuple(found.about.get(EARLIER, ()))  # which what an older silmu left has not


def write_series(
    dataset: Dataset, folder: str | Path, settings: SeriesSettings
) -> prepared.Prepared:
    """Cuts the series by time, and leaves what may be seen before the test.

    Raises:
        InputError: the series are too short.
    """
    read = collected.read(dataset)
    series = _until(read.series, settings.until)
    longest = max(len(one.values) for one in series)
    ahead = settings.prediction_length or windows.horizon(read.step, longest)
    cuts = windows.cut(series, ahead, settings.validation, settings.test, settings.gap)
    until = cuts.validation - cuts.gap
    ends = {one.name: int(np.clip(until - one.first, 0, len(one.values))) for one in series}
    parts = [one.values[: ends[one.name]] for one in series if ends[one.name]]
    if not any(np.isfinite(part).any() for part in parts):
        raise InputError("no series has a value before validation begins")
    season = settings.season or windows.season_of(parts, read.step, ahead)
    training = max(len(part) for part in parts)
    context = settings.context_length or windows.context(season, ahead, training)
    processor = SeriesProcessor.fitted(
        replace(read, series=series),
        collected.layout_of(dataset),
        ends=ends,
        fill=settings.fill,
        normalise=settings.normalise,
        context_length=context,
        prediction_length=ahead,
        season=season,
        known=settings.known,
    )
    shares = settings.validation, settings.test
    earlier = windows.earlier(series, cuts, context, ahead, *shares, settings.backtest)
    first = min(one.first for one in series)
    limits = (("train", first, until), ("validation", cuts.validation, cuts.test - cuts.gap))
    found = {name: windows.windows(series, low, high, context, ahead) for name, low, high in limits}
    for name, some in found.items():
        if not len(some):
            raise InputError(
                f"the {name} part has no window of {ahead:,} steps with a value to tell",
                hint=f"--set prediction_length={max(ahead // 2, 1)}, or more rows",
            )
    seen = [one.until(int(np.clip(cuts.test - cuts.gap - one.first, 0, 1 << 62))) for one in series]
    split = _split(read.places, cuts, dataset, max(one.end for one in series), settings.until)
    labels = _labels(dataset, parts)
    with store.new_folder(folder, meta={"dataset": dataset.fingerprint}) as writer:
        _write_tracks(writer, [processor.tracks(one, 0) for one in seen])
        for name, some in found.items():
            with writer.open(f"{prepared.FEATURES}/{name}/windows.npy") as file:
                write_array(file, some)
        files = {processors.FILE: processor.to_bytes()}
        for name, data in files.items():
            writer.write(f"{prepared.PROCESSOR}/{name}", data)
        schema = schemas.make(dataset, labels)
        writer.write(prepared.SCHEMA, schema.to_bytes())
        told = {"labels": labels.to_dict(), "schema": schema.to_bytes().hex()}
        fitted = prepared.fitted_hash(files, told)
        about = {
            CUTS: {"validation": cuts.validation, "test": cuts.test, "gap": cuts.gap},
            EARLIER: earlier,
            UNTIL: settings.until,
            "windows": {name: len(some) for name, some in found.items()},
        }
        prepared.seal(writer, dataset, split, labels, fitted, **about)
    return prepared.Prepared.open(folder, dataset)


def _until(series: tuple[Series, ...], end: int | None) -> tuple[Series, ...]:
    """The series before a step, as if they had been collected then."""
    if end is None:
        return series
    return tuple(one.until(end - one.first) for one in series if one.first < end)


def _split(
    places: NDArray[np.int64], cuts: Cuts, dataset: Dataset, end: int, until: int | None
) -> Split:
    """The side of each row by its time."""
    sides = cuts.sides(places)
    left_out: dict[str, int] = {}
    future = FUTURE if until is None else LATER
    for reason, rows in ((future, places >= end), (GAP, sides < 0)):
        sides[rows] = splits.OUT
        if count := int(rows.sum()):
            left_out[reason] = count
    return Split(sides, np.arange(dataset.num_rows, dtype=np.int64), METHOD, 0, left_out)


def _labels(dataset: Dataset, parts: Sequence[NDArray[np.float64]]) -> Labels:
    values = np.concatenate(parts)
    values = values[np.isfinite(values)]
    target = dataset.roles.target
    return Labels(
        "number",
        (),
        target,
        "value" if len(target) == 1 else "numbers",
        None,
        (),
        float(values.mean()),
        float(values.std()) or 1.0,
    )


def _write_tracks(writer: store.FolderWriter, tracks: Sequence[Tracks]) -> None:
    """All series one after another, an array a field, and where each begins."""
    arrays: dict[str, Any] = {
        "starts": np.cumsum([0, *(len(one) for one in tracks)], dtype=np.int64),
        "scale": np.array([one.scale for one in tracks]),
        **{name: np.concatenate([getattr(one, name) for one in tracks]) for name in OF_STEPS},
        **{name: np.stack([getattr(one, name) for one in tracks]) for name in OF_SERIES},
    }
    for name, array in arrays.items():
        with writer.open(f"{prepared.FEATURES}/tracks/{name}.npy") as file:
            write_array(file, array)


def _open_tracks(arrays: dict[str, Any]) -> Iterator[Tracks]:
    starts = arrays["starts"].tolist()
    for i, (start, end) in enumerate(pairwise(starts)):
        yield Tracks(
            **{name: arrays[name][start:end] for name in OF_STEPS},
            **{name: arrays[name][i] for name in OF_SERIES},
            scale=float(arrays["scale"][i]),
        )
