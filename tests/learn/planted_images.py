"""Folders of pictures with one planted fault each, and their twins without it."""

from __future__ import annotations

import csv
import io
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

LABELS = ("bar", "cross", "disc")
SIZES = ((72, 54), (64, 64), (54, 72), (80, 60))
EACH = 34


@dataclass
class Planted:
    """Where the pictures are, how they are read, and which of them have the fault."""

    folder: Path
    source: Path
    roles: dict[str, str] = field(default_factory=dict)
    where: set[str] = field(default_factory=set)
    """Paths from the folder on; empty where the fault is not one of some pictures."""

    def numbers(self) -> dict[str, int]:
        """The number of each picture in the source."""
        if self.source.suffix == ".csv":
            with self.source.open(encoding="utf-8") as file:
                return {row["image"]: n for n, row in enumerate(csv.DictReader(file), 1)}
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): n for n, path in enumerate(paths, 1)}


def picture(draw: random.Random, label: str, size: tuple[int, int] | None = None) -> Image.Image:
    """A shape somewhere before a background that no other picture has."""
    width, height = size or draw.choice(SIZES)
    noise = np.random.default_rng(draw.getrandbits(32))
    small = noise.integers(30, 226, (6, 8, 3), np.uint8)
    made = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    pen, colour = ImageDraw.Draw(made), tuple(draw.randrange(256) for _ in range(3))
    span = draw.uniform(0.25, 0.45) * min(width, height)
    x, y = draw.uniform(span, width - span), draw.uniform(span, height - span)
    if label == "disc":
        pen.ellipse((x - span, y - span, x + span, y + span), fill=colour)
    else:
        pen.rectangle((x - span, y - span / 4, x + span, y + span / 4), fill=colour)
    if label == "cross":
        pen.rectangle((x - span / 4, y - span, x + span / 4, y + span), fill=colour)
    return made


def save(image: Image.Image, path: Path, kind: str = "JPEG", quality: int = 88) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, kind, **({"quality": quality} if kind == "JPEG" else {}))


def plain(seed: int, folder: Path) -> Planted:
    """A folder a class, of JPEG and PNG in several sizes."""
    draw = random.Random(seed)
    for label in LABELS:
        for number in range(EACH):
            is_png = draw.random() < 0.3
            path = folder / label / f"{number:03}.{'png' if is_png else 'jpg'}"
            save(picture(draw, label), path, "PNG" if is_png else "JPEG")
    return Planted(folder, folder)


def split(seed: int, folder: Path) -> Planted:
    """The same under train and test."""
    made = plain(seed, folder / "all")
    for path in sorted(made.folder.rglob("*.*")):
        number = int(path.stem)
        side = "train" if number < 24 else "test"
        target = folder / side / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
    shutil.rmtree(folder / "all")
    return Planted(folder, folder)


def table(seed: int, folder: Path) -> Planted:
    """A table of paths, labels, patients and splits, each patient in one split."""
    made = plain(seed, folder)
    draw = random.Random(seed + 1)
    rows: list[dict[str, str]] = []
    for path in sorted(folder.rglob("*.*")):
        patient = draw.randrange(20)
        side = "train" if patient < 14 else "test"
        name = path.relative_to(folder).as_posix()
        rows.append(
            {"image": name, "label": path.parent.name, "patient": f"p{patient}", "split": side}
        )
    made.source = folder / "rows.csv"
    made.roles = {"group": "patient"}
    write(made.source, rows)
    return made


def write(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    table = csv.DictWriter(text, list(rows[0]))
    table.writeheader()
    table.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8")


def rows_of(made: Planted) -> list[dict[str, str]]:
    with made.source.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


Plant = Callable[[Planted, random.Random], None]


def some(
    made: Planted, draw: random.Random, count: int, under: str = "", mark: bool = True
) -> list[Path]:
    paths = sorted(path for path in (made.folder / under).rglob("*.*") if path.suffix != ".csv")
    chosen = sorted(draw.sample(paths, count))
    if mark:
        made.where |= {path.relative_to(made.folder).as_posix() for path in chosen}
    return chosen


def note(made: Planted, path: Path) -> Path:
    made.where.add(path.relative_to(made.folder).as_posix())
    return path


def cut_off(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 4):
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * draw.uniform(0.3, 0.7))])


def empty(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 3):
        path.write_bytes(b"")


def no_pictures(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 4):
        path.write_bytes(draw.choice([b"<html>404 not found</html>", b"%PDF-1.4 ...", b"text"]))


def wrong_endings(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 5, mark=False):
        other = path.with_suffix(".jpg" if path.suffix == ".png" else ".png")
        path.rename(note(made, other))


def copies(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 6, mark=False):
        shutil.copy(path, note(made, path.with_name(f"zz {path.name}")))


def changed(image: Image.Image, draw: random.Random) -> Image.Image:
    """A copy as one finds it elsewhere."""
    width, height = image.size
    how = draw.randrange(4)
    if how == 0:
        return image.resize((round(width * 1.5), round(height * 1.5)), Image.Resampling.BICUBIC)
    if how == 1:
        return ImageEnhance.Brightness(image).enhance(1.1)
    if how == 2:
        return image.crop((1, 1, width - 1, height - 1))
    return image


def near_copy(path: Path, target: Path, draw: random.Random) -> None:
    with Image.open(path) as image:
        save(changed(image.convert("RGB"), draw), target, "JPEG", 70)


def near_copies(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 6, mark=False):
        near_copy(path, note(made, path.with_name(f"zz{path.stem}.jpg")), draw)


def other_label(path: Path, draw: random.Random) -> Path:
    label = draw.choice([one for one in LABELS if one != path.parent.name])
    return path.parent.parent / label / f"zz{path.parent.name}{path.stem}{path.suffix}"


def conflicts(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 5):
        shutil.copy(path, note(made, other_label(path, draw)))


def near_conflicts(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 5):
        near_copy(path, note(made, other_label(path, draw).with_suffix(".jpg")), draw)


def leaked(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 5, "train", mark=False):
        shutil.copy(path, note(made, made.folder / "test" / path.parent.name / f"zz{path.name}"))


def nearly_leaked(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 5, "train", mark=False):
        target = made.folder / "test" / path.parent.name / f"zz{path.stem}.jpg"
        near_copy(path, note(made, target), draw)


def each_of(made: Planted, label: str) -> list[Path]:
    return sorted((made.folder / label).glob("*.*"))


def other_size(made: Planted, draw: random.Random) -> None:
    label = draw.choice(LABELS)
    for path in each_of(made, label):
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        save(picture(draw, label, (90, 88)), path, kind)


def other_format(made: Planted, draw: random.Random) -> None:
    label = draw.choice(LABELS)
    for one in LABELS:
        for path in each_of(made, one):
            with Image.open(path) as image:
                whole = image.convert("RGB")
            path.unlink()
            kind, ending = ("PNG", ".png") if one == label else ("JPEG", ".jpg")
            save(whole, path.with_suffix(ending), kind)


def framed(made: Planted, draw: random.Random) -> None:
    label = draw.choice(LABELS)
    for path in each_of(made, label):
        with Image.open(path) as image:
            whole = image.convert("RGB")
        pen = ImageDraw.Draw(whole)
        pen.rectangle((0, 0, whole.width - 1, whole.height - 1), outline=(8, 8, 8), width=3)
        save(whole, path, "PNG" if path.suffix == ".png" else "JPEG", 95)


def darkened(made: Planted, draw: random.Random) -> None:
    label = draw.choice(LABELS)
    for path in each_of(made, label):
        with Image.open(path) as image:
            whole = ImageEnhance.Brightness(image.convert("RGB")).enhance(0.35)
        save(whole, path, "PNG" if path.suffix == ".png" else "JPEG")


def rare(made: Planted, draw: random.Random) -> None:
    for number in range(3):
        save(picture(draw, "bar", (64, 64)), note(made, made.folder / "ring" / f"{number}.jpg"))


def unequal(made: Planted, draw: random.Random) -> None:
    for path in each_of(made, "bar")[10:]:
        path.unlink()
    for number in range(EACH, 3 * EACH):
        save(picture(draw, "disc"), made.folder / "disc" / f"{number}.jpg")


def blank(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 4):
        shade = draw.choice([(0, 0, 0), (255, 255, 255), (130, 128, 131)])
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        save(Image.new("RGB", draw.choice(SIZES), shade), path, kind)


def gray(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 8):
        with Image.open(path) as image:
            whole = image.convert("L")
        save(whole, path, "PNG" if path.suffix == ".png" else "JPEG")


def tiny(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 3):
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        save(picture(draw, path.parent.name).resize((6, 5)), path, kind)


def long(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 3):
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        save(picture(draw, path.parent.name).resize((400, 50)), path, kind)


def huge(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 1):
        kind = "PNG" if path.suffix == ".png" else "JPEG"
        save(picture(draw, path.parent.name).resize((2400, 1800)), path, kind)


def misspelt(made: Planted, draw: random.Random) -> None:
    name = draw.choice(["Disc", "disc ", "DISC"])
    for path in each_of(made, "disc")[:5]:
        target = note(made, made.folder / name / path.name)
        target.parent.mkdir(exist_ok=True)
        path.rename(target)


def patients(made: Planted, draw: random.Random) -> None:
    rows = rows_of(made)
    for row in draw.sample(rows, 12):
        row["split"] = "test" if row["split"] == "train" else "train"
    write(made.source, rows)


def gone(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 4):
        path.unlink()


def series(made: Planted, draw: random.Random) -> None:
    for path in some(made, draw, 3 * EACH, mark=False):
        number = int(path.stem) + EACH * LABELS.index(path.parent.name)
        path.rename(path.with_name(f"patient{number // 4:02}_{number % 4}{path.suffix}"))


def hidden(made: Planted, draw: random.Random) -> None:
    for label in draw.sample(LABELS, 2):
        (made.folder / label / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


Base = Callable[[int, Path], Planted]

FAULTS: dict[str, tuple[Base, Plant, str, str]] = {
    "cut off": (plain, cut_off, "broken pictures", "wrong"),
    "empty": (plain, empty, "broken pictures", "wrong"),
    "no pictures": (plain, no_pictures, "broken pictures", "wrong"),
    "hidden files": (plain, hidden, "no pictures", "note"),
    "wrong endings": (plain, wrong_endings, "wrong extension", "note"),
    "copies": (plain, copies, "duplicates", "note"),
    "near copies": (plain, near_copies, "near duplicates", "note"),
    "conflicts": (plain, conflicts, "conflicting labels", "wrong"),
    "near conflicts": (plain, near_conflicts, "conflicting labels of near duplicates", "note"),
    "leaked": (split, leaked, "duplicates across splits", "wrong"),
    "nearly leaked": (split, nearly_leaked, "duplicates across splits", "wrong"),
    "other size": (plain, other_size, "gives the target away", "wrong"),
    "other format": (plain, other_format, "gives the target away", "wrong"),
    "framed": (plain, framed, "gives the target away", "wrong"),
    "darkened": (plain, darkened, "gives the target away", "note"),
    "rare": (plain, rare, "rare labels", "wrong"),
    "unequal": (plain, unequal, "imbalance", "note"),
    "blank": (plain, blank, "blank pictures", "wrong"),
    "gray": (plain, gray, "gray among colour", "note"),
    "tiny": (plain, tiny, "tiny pictures", "note"),
    "long": (plain, long, "odd shapes", "note"),
    "huge": (plain, huge, "huge pictures", "note"),
    "misspelt": (plain, misspelt, "label spelling", "wrong"),
    "patients": (table, patients, "groups across splits", "wrong"),
    "gone": (table, gone, "pictures out of place", "wrong"),
    "series": (plain, series, "group suspected", "note"),
}
"""Clean pictures, what spoils them, and the finding that says so."""


def make(fault: str, seed: int, folder: Path) -> Planted:
    """The pictures of a seed with a fault."""
    base, plant, *_ = FAULTS[fault]
    made = base(seed, folder)
    plant(made, random.Random(f"{fault} {seed}"))
    return made
