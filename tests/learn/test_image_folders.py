"""Folders of pictures that are odd in every way: rows that are kept or counted as dropped, or a
typed error; nothing hangs, and nothing outside of the folder is read."""

from __future__ import annotations

import hashlib
import io
import os
import random
import socket
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from silmu.errors import InputError, SilmuError, UsageError
from silmu.steps.collect import collect
from silmu.steps.collect.checks import check
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.pictures import Pictures, keys

Mutation = Callable[[Path, Path], None]
"""Given the folder, and one outside of it with a picture in it."""

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")


def picture(seed: int, kind: str = "PNG") -> bytes:
    draw = random.Random(seed)
    image = Image.frombytes("RGB", (12, 10), draw.randbytes(360))
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


GOOD = {f"{label}/{number}.png": picture(ord(label) + number) for label in "ab" for number in "012"
        for number in [int(number)]}  # fmt: skip
CANARY = picture(1000)


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    folder, outside = tmp_path / "pictures", tmp_path / "outside"
    for name, data in GOOD.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    outside.mkdir()
    (outside / "canary.png").write_bytes(CANARY)
    (outside / "c").mkdir()
    (outside / "c" / "canary.png").write_bytes(CANARY)
    return folder, outside


def outcome(folder: Path, target: Path) -> Dataset | SilmuError:
    started = time.process_time()
    try:
        dataset = collect(folder, target, kind="image")
    except (InputError, UsageError) as error:
        return error
    finally:
        assert time.process_time() - started < 5
    dropped = sum(drop.count for drop in dataset.dropped)
    assert dataset.rows_in == dataset.num_rows + dropped
    pictures = Pictures(dataset)
    for row in range(len(pictures)):
        assert hashlib.sha256(pictures.data(row)).hexdigest() != hashlib.sha256(CANARY).hexdigest()
        assert pictures.image(row).mode == "RGB"
    keys(dataset)
    check(dataset, kind="image", answers="labels")
    return dataset


# ── names ──────────────────────────────────────────────────────────────────────────────────────

NAMES = (
    *("-rf", "CON", "nul.png", "a b", " a", "a ", "A", "..a", "~", "*", "?", "[x]", "a,b", "a;b"),
    *("'", '"', "`id`", "$(id)", "%s%n", "<script>", "{{7*7}}", "=1+1", "#", "a\\b", "a:b", "|"),
    *(
        "\n",
        "a\nb",
        "\t",
        "\x07",
        "한글",
        "e\u0301",
        "\u202egnp",
        "🐈",
        "\u200b",
        "0",
        "null",
        "nan",
    ),
    *("x" * 255, "가" * 85, "train", "test", "Thumbs.db", "__MACOSX", ".hidden", "label", "image"),
)
NOT_TEXT = b"caf\xe9"


def class_named(name: str) -> Mutation:
    def mutate(folder: Path, outside: Path) -> None:
        del outside
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "0.png").write_bytes(picture(50))

    return mutate


def file_named(name: str) -> Mutation:
    def mutate(folder: Path, outside: Path) -> None:
        del outside
        (folder / "a" / name).write_bytes(picture(51))

    return mutate


# ── what is no file ────────────────────────────────────────────────────────────────────────────


def link_out(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "canary.png")


def link_to_folder(path: Path, outside: Path) -> None:
    path.symlink_to(outside)


def link_nowhere(path: Path, outside: Path) -> None:
    path.symlink_to(outside / "nothing")


def link_to_itself(path: Path, outside: Path) -> None:
    del outside
    path.symlink_to(path)


def link_up(path: Path, outside: Path) -> None:
    del outside
    path.symlink_to(path.parent)


def link_to_device(path: Path, outside: Path) -> None:
    del outside
    path.symlink_to("/dev/zero")


def link_by_two(path: Path, outside: Path) -> None:
    between = path.with_name("between")
    between.symlink_to(outside)
    path.symlink_to(between / "canary.png")


def pipe(path: Path, outside: Path) -> None:
    del outside
    os.mkfifo(path)


def door(path: Path, outside: Path) -> None:
    del outside
    here = Path.cwd()
    os.chdir(path.parent)  # since the whole name is too long for one
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path, outside: Path) -> None:
    del outside
    with suppress(PermissionError):
        os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))


def sparse(path: Path, outside: Path) -> None:
    del outside
    with path.open("wb") as file, suppress(OSError):
        file.truncate(1 << 40)


def locked(path: Path, outside: Path) -> None:
    del outside
    path.write_bytes(picture(52))
    path.chmod(0)


def locked_folder(path: Path, outside: Path) -> None:
    del outside
    path.mkdir()
    (path / "0.png").write_bytes(picture(53))
    path.chmod(0)


def empty_folder(path: Path, outside: Path) -> None:
    del outside
    path.mkdir()


def deep(path: Path, outside: Path) -> None:
    del outside
    for _ in range(60):
        path /= "d"
    path.mkdir(parents=True)
    (path / "0.png").write_bytes(picture(54))


def one_file(path: Path, outside: Path) -> None:
    del outside
    path.mkdir()
    (path / "0.png").write_bytes(picture(55))


def copy(path: Path, outside: Path) -> None:
    del outside
    path.write_bytes(GOOD["a/0.png"])


def archive(path: Path, outside: Path) -> None:
    del outside
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a/0.png", picture(56))


THINGS = (
    *(link_out, link_to_folder, link_nowhere, link_to_itself, link_up, link_to_device, link_by_two),
    *(pipe, door, device, sparse, locked, locked_folder, empty_folder, deep, one_file, copy),
    archive,
)
PLACES = {"as a class": "c", "in a class": "a/c.png", "beside files of a class": "b/c"}


def thing(make: Mutation, place: str) -> Mutation:
    return lambda folder, outside: make(folder / place, outside)


# ── content ────────────────────────────────────────────────────────────────────────────────────


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def flipped(data: bytes, seed: int) -> bytes:
    draw, changed = random.Random(seed), bytearray(data)
    for _ in range(20):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


CONTENTS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "one byte": lambda data: data[:1],
    "cut at 10 %": lambda data: cut(data, 0.1),
    "cut at 50 %": lambda data: cut(data, 0.5),
    "cut at 99 %": lambda data: cut(data, 0.99),
    "flipped": lambda data: flipped(data, 0),
    "flipped again": lambda data: flipped(data, 1),
    "a megabyte behind": lambda data: data + bytes(1 << 20),
    "a page behind": lambda data: data + b"<html><script>alert(1)</script>",
}


def content(kind: str, change: Callable[[bytes], bytes]) -> Mutation:
    def mutate(folder: Path, outside: Path) -> None:
        del outside
        (folder / "a" / f"x.{kind.lower()}").write_bytes(change(picture(57, kind)))

    return mutate


# ── the whole ──────────────────────────────────────────────────────────────────────────────────


def both_sides(folder: Path, outside: Path) -> None:
    del outside
    for side in ("train", "test"):
        for name, data in GOOD.items():
            (folder / side / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / side / name).write_bytes(data)
    for label in "ab":
        for path in (folder / label).iterdir():
            path.unlink()
        (folder / label).rmdir()


def no_classes(folder: Path, outside: Path) -> None:
    del outside
    for name in GOOD:
        (folder / name).rename(folder / name.replace("/", "-"))
    for label in "ab":
        (folder / label).rmdir()


def all_empty(folder: Path, outside: Path) -> None:
    del outside
    for name in GOOD:
        (folder / name).write_bytes(b"")


def all_gone(folder: Path, outside: Path) -> None:
    del outside
    for name in GOOD:
        (folder / name).unlink()


def cases() -> Iterator[tuple[str, Mutation]]:
    for name in NAMES:
        yield f"class {name[:20]!r}", class_named(name)
        yield f"file {name[:20]!r}", file_named(name)
    yield "class not text", class_named(os.fsdecode(NOT_TEXT))
    yield "file not text", file_named(os.fsdecode(NOT_TEXT + b".png"))
    for make in THINGS:
        for where, place in PLACES.items():
            yield f"{make.__name__} {where}", thing(make, place)
    for kind in FORMATS:
        for what, change in CONTENTS.items():
            yield f"{kind} {what}", content(kind, change)
    for whole in (both_sides, no_classes, all_empty, all_gone):
        yield whole.__name__, whole


CASES = dict(cases())
USELESS = ("no_classes", "all_empty", "all_gone")


def is_refused(case: str, folder: Path) -> bool:
    """Whether there is nothing to learn from, or a folder that only root may look into."""
    if case.startswith("locked_folder"):
        made = [folder / place for place in PLACES.values() if (folder / place).exists()]
        return not os.access(made[0], os.R_OK)
    return case in USELESS


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize("case", CASES)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_odd_folders(case: str, places: tuple[Path, Path], tmp_path: Path) -> None:
    folder, outside = places
    CASES[case](folder, outside)
    must_fail = is_refused(case, folder)
    found = outcome(folder, tmp_path / "dataset")
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o700)
    if must_fail:
        assert not isinstance(found, Dataset)
        return
    assert isinstance(found, Dataset), found
    # Whatever was added, what was good is there.
    told = {Pictures(found).name(row) for row in range(found.num_rows)}
    sides = ("train/", "test/") if case == "both_sides" else ("",)
    assert {f"{side}{name}" for side in sides for name in GOOD} <= told


@pytest.mark.parametrize("case", ["both_sides", "class 'train'", "copy in a class"])
def test_what_is_meant_is_kept(case: str, places: tuple[Path, Path], tmp_path: Path) -> None:
    folder, outside = places
    CASES[case](folder, outside)
    found = outcome(folder, tmp_path / "dataset")
    assert isinstance(found, Dataset)
    assert found.num_rows == {"both_sides": 12}.get(case, 7)


@pytest.mark.parametrize("case", USELESS)
def test_what_cannot_be_learned_from_is_refused(
    case: str, places: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, outside = places
    CASES[case](folder, outside)
    assert isinstance(outcome(folder, tmp_path / "dataset"), SilmuError)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("case", [f"{one.__name__} in a class" for one in THINGS[:7]])
def test_links_out_are_counted(case: str, places: tuple[Path, Path], tmp_path: Path) -> None:
    folder, outside = places
    CASES[case](folder, outside)
    found = outcome(folder, tmp_path / "dataset")
    assert isinstance(found, Dataset)
    assert found.num_rows == 6
    assert sum(drop.count for drop in found.dropped) == 1 + (case == "link_by_two in a class")
