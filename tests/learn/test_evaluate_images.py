"""Models for pictures evaluated: figures, baselines, what is shown, what is not, new pictures."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits import mnist
from PIL import Image

pytest.importorskip("sklearn")

from perceptrons import perceptron

from silmu import cli
from silmu.errors import UsageError
from silmu.pipelines import pipeline
from silmu.steps.collect import collect
from silmu.steps.collect.pictures import Pictures
from silmu.steps.evaluate import Report, evaluate, evaluate_data
from silmu.steps.evaluate.image import saliency as covering
from silmu.steps.evaluate.image import scorer as scoring
from silmu.steps.prepare import prepare_images
from silmu.steps.prepare.prepared import Prepared

KINDS = ("single", "ordered", "multiple", "number")
SINGLE = (
    "accuracy balanced_accuracy f1_macro roc_auc log_loss expected_calibration_error top_5_accuracy"
)
NAMES = {
    "single": SINGLE,
    "ordered": SINGLE.replace("top_5_accuracy", "mean_absolute_error quadratic_kappa"),
    "multiple": "f1_macro f1_micro accuracy hamming_loss roc_auc log_loss",
    "number": "mean_absolute_error root_mean_squared_error r2",
}
COUNT = 320


def rows(kind: str, start: int = 0, stop: int = COUNT) -> list[dict[str, Any]]:
    """Digits with a target that follows from what they are."""
    found: list[dict[str, Any]] = []
    for i, (pixels, digit) in enumerate(zip(*(one[start:stop] for one in mnist()), strict=True)):
        target: Any = {"single": f"digit {digit}", "ordered": str(digit)}.get(kind, float(digit))
        if kind == "multiple":
            holds = {"even": digit % 2 == 0, "large": digit > 4, "any": i % 3 > 0}
            target = [name for name, it_does in holds.items() if it_does]
        writer = f"writer {i % 40}"
        store = "left" if i % 2 else "right"
        found.append({"image": pixels, "label": target, "writer": writer, "box": store})
    return found


def prepared_of(source: Any, place: Path, kind: str = "single", **roles: Any) -> Prepared:
    dataset = collect(
        source, place / "1-dataset", kind="image", input="image", target="label", **roles
    )
    settings = {"labels": kind, "test": 0.4, "validation": 0.2, "near_duplicates": False}
    return prepare_images(dataset, place / "2-prepared", settings=settings)


def evaluated(prepared: Prepared, place: Path) -> Report:
    model = perceptron(prepared, place / "4-model")
    return evaluate(model, prepared, place / "5-report", seconds={}, settings={"seed": 1})


@pytest.fixture(scope="module", params=KINDS)
def run(request: Any, tmp_path_factory: Any) -> tuple[Path, Prepared, Report]:
    """A run up to its report, for each kind of label."""
    kind, place = request.param, tmp_path_factory.mktemp(request.param) / "run"
    group = {"group": "writer"} if kind == "ordered" else {}
    prepared = prepared_of(rows(kind), place, kind, **group)
    (place / "4-train").mkdir()
    Image.new("RGB", (90, 60), "red").save(place / "4-train" / "augmented.png")
    return place, prepared, evaluated(prepared, place)


@pytest.fixture(scope="module")
def single(tmp_path_factory: Any) -> tuple[Path, Prepared]:
    """A run of digits up to its model."""
    place = tmp_path_factory.mktemp("digits") / "run"
    prepared = prepared_of(rows("single"), place)
    perceptron(prepared, place / "4-model")
    return place, prepared


def pictures_of(text: str) -> list[Image.Image]:
    """The pictures that a text holds."""
    found = re.findall(r"data:image/\w+;base64,([\w+/=]+)", text)
    return [Image.open(io.BytesIO(base64.b64decode(one))) for one in found]


# ── the report ─────────────────────────────────────────────────────────────────────────────────


def test_the_report_has_what_it_promises(run: tuple[Path, Prepared, Report]) -> None:
    place, prepared, report = run
    kind = prepared.kind
    assert [*report] == NAMES[kind].split()
    simple = "median" if kind == "number" else "majority"
    assert [*report.baselines] == [simple, "k_nearest"]
    assert report.comparison["against"] == "k_nearest"
    assert {*report.comparison["others"]} == {simple}
    values = report.to_dict()
    assert (values["task"], values["rows"]) == ("image-classification", "pictures")
    assert values["data"]["scored"] == prepared.counts["test"]
    assert report.details["bootstrap"]["by"] == ("writer" if kind == "ordered" else "row")
    for found in (report.metrics, *report.baselines.values()):
        assert all(one.low <= one.value <= one.high for one in found.values())
    chosen = report.details["baselines"]["k_nearest"]
    assert chosen["chosen"] in chosen["validation"]
    card = (place / "4-model" / "README.md").read_text()
    assert "A picture goes in" in card
    assert "data:image" not in card


def test_digits_are_told_better_than_by_lot(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    ours = report[report.metric].value
    simple, near = (one[report.metric].value for one in report.baselines.values())
    if prepared.kind in ("ordered", "number"):
        assert max(ours, near) < simple - 0.5
    else:
        assert min(ours, near) > simple + 0.1


def test_the_figures_are_those_of_the_pipeline(run: tuple[Path, Prepared, Report]) -> None:
    place, prepared, report = run
    pipe = pipeline("image-classification", model=place / "4-model")
    pictures, places = Pictures(prepared.dataset), prepared.rows("test").tolist()
    answers: Any = pipe([pictures.image(row) for row in places], top_k=10)
    targets = prepared.targets("test")
    if prepared.kind == "number":
        told = np.array([one[0]["score"] for one in answers])
        error = np.abs(told - targets).mean()
        assert report["mean_absolute_error"].value == pytest.approx(error, rel=1e-4)
    elif prepared.kind == "multiple":
        limits = dict(zip(prepared.labels, pipe.thresholds or (), strict=True))
        said = [{o["label"] for o in one if o["score"] >= limits[o["label"]]} for one in answers]
        names = np.array(prepared.labels)
        right = [s == {*names[t > 0].tolist()} for s, t in zip(said, targets, strict=True)]
        assert report["accuracy"].value == pytest.approx(np.mean(right), abs=1e-5)
    else:
        best = [prepared.labels.index(one[0]["label"]) for one in answers]
        assert report["accuracy"].value == pytest.approx(np.mean(best == targets), abs=1e-5)


def test_what_is_shown_are_pictures_of_the_test(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    details, dataset = report.details, prepared.dataset
    places = {int(dataset.row_numbers[row]): int(row) for row in prepared.rows("test")}
    named = [one for key in ("worst", "best", "attributions") for one in details[key]]
    named += [one for pair in details["confused"] for one in pair["examples"]]
    assert {str(one["row"]) for one in named} == {*details["pictures"]}
    pictures = Pictures(dataset)
    for one in named:
        found = details["pictures"][str(one["row"])]
        assert one["picture"] == pictures.name(places[one["row"]])
        (shown,) = pictures_of(found["src"])
        own = np.asarray(pictures.image(places[one["row"]]).convert("L"))
        assert np.array_equal(np.asarray(shown), own)
    if prepared.kind != "number":
        assert all(one["label"] == one["prediction"] for one in details["best"])
        assert all(one["label"] != one["prediction"] for one in details["worst"])
    else:
        misses = [abs(one["label"] - one["prediction"]) for one in details["best"]]
        assert misses == sorted(misses)


def test_pairs_are_those_of_the_confusions(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    confused = report.details["confused"]
    if prepared.kind not in ("single", "ordered"):
        assert confused == []
        return
    matrix = report.details["confusion"]
    counts = {
        (true, said): matrix["counts"][i][j]
        for i, true in enumerate(matrix["labels"])
        for j, said in enumerate(matrix["labels"])
        if i != j
    }
    assert [one["n"] for one in confused] == sorted(counts.values(), reverse=True)[: len(confused)]
    assert all(counts[one["true"], one["said"]] == one["n"] for one in confused)
    assert all(len(one["examples"]) == min(4, one["n"]) for one in confused)


def test_answers_are_explained_by_parts_of_the_picture(run: tuple[Path, Prepared, Report]) -> None:
    _, _, report = run
    found = report.details["attributions"]
    assert {one["kind"] for one in found} == {"mistake", "typical"}
    for one in found:
        grid = np.array(one["saliency"])
        assert grid.shape == (14, 14)
        # The corners of a digit are empty, and little hangs on them and what is beside them.
        corners = np.abs(grid[[0, 0, -1, -1], [0, -1, 0, -1]])
        assert corners.max() < 0.5 * np.abs(grid).max()
        (drawn,) = pictures_of(one["overlay"])
        assert max(drawn.size) <= 96


def test_large_pictures_are_explained_by_fewer_parts(
    single: tuple[Path, Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(covering, "LARGE", 27)
    new = collect(rows("single", 1000, 1020), tmp_path / "new", kind="image")
    report = evaluate_data(single[0] / "4-model", new, None)
    assert {np.shape(one["saliency"]) for one in report.details["attributions"]} == {(7, 7)}


def test_parts_of_the_pictures(run: tuple[Path, Prepared, Report]) -> None:
    _, prepared, report = run
    parts: dict[str, list[Any]] = {}
    for one in report.details["slices"]:
        parts.setdefault(one["column"], []).append(one)
    assert {*parts} == {"box", "(brightness)"}, "all are gray squares of one size and format"
    for several in parts.values():
        assert sum(one["n"] for one in several) == prepared.counts["test"]


def test_the_page_shows_them_and_is_not_large(run: tuple[Path, Prepared, Report]) -> None:
    place, prepared, report = run
    text = (place / "5-report" / "report.html").read_text()
    assert len(text) < 1_000_000
    titles = re.findall(r"<h2 id[^>]*>([^<]*)", text)
    wanted = ["Worst mistakes", "Surest right answers", "Typical answers", "What training saw"]
    wanted.append("What each layer has learnt")
    if prepared.kind in ("single", "ordered"):
        wanted.append("Confusions")
    assert {*wanted} <= {*titles}
    assert report.details["augmented"]["width"] == 90
    layers = report.details["layers"]
    assert (layers["pictures"], layers["size"]) == (prepared.counts["validation"], [28, 28])
    assert layers["filters"]["size"] == [28, 28], "each of a perceptron is a picture"
    assert layers["filters"]["image"] in text
    assert (90, 60) in {one.size for one in pictures_of(text)}
    assert text.count("<img") == len(pictures_of(text))


def test_an_evaluation_can_be_repeated(single: tuple[Path, Prepared], tmp_path: Path) -> None:
    place, prepared = single
    found = [
        evaluate(place / "4-model", prepared, tmp_path / name, seconds={}, settings={})
        for name in "ab"
    ]
    first, second = (one.to_dict() for one in found)
    for name in ("metrics", "baselines", "comparison", "details"):
        assert first[name] == second[name]


# ── colour, sizes, and what files hold beside pixels ───────────────────────────────────────────


def drawn(folder: Path, count: int = 150, *, secret: bytes = b"") -> Path:
    """A folder a class: red and blue squares, wide or small, gray now and then, as PNG or JPEG."""
    draw = np.random.default_rng(0)
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = secret.decode()  # what is seen, and who took it
    place = exif.get_ifd(0x8825)
    place[1], place[2], place[29] = "N", (37.0, 33.0, 59.0), secret.decode()
    for i in range(count):
        label = ("blue", "red")[i % 2]
        size = (160, 90) if i % 3 else (80, 80)
        pixels = draw.integers(0, 90, (size[1], size[0], 3)).astype(np.uint8)
        pixels[20:60, 20:60, 0 if label == "red" else 2] = 255
        if i % 5 == 0:
            pixels[:] = pixels.mean(axis=2, keepdims=True).astype(np.uint8)
        path = folder / label / f"{i}.{'jpg' if i % 4 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i % 4:
            Image.fromarray(pixels).save(path, "JPEG", exif=exif, comment=secret, quality=90)
        else:
            Image.fromarray(pixels).save(path, "PNG", exif=exif)
    return folder


def test_by_size_shape_colour_and_format(tmp_path: Path) -> None:
    report = evaluated(prepared_of(drawn(tmp_path / "drawn"), tmp_path / "run"), tmp_path / "run")
    parts: dict[str, set[str]] = {}
    for one in report.details["slices"]:
        parts.setdefault(one["column"], set()).add(one["value"])
    assert parts["(size)"] == {"80", "90"}
    assert parts["(shape)"] == {"wide", "about square"}
    assert parts["(colour)"] == {"gray", "in colour"}
    assert parts["(format)"] == {"JPEG", "PNG"}
    assert report["accuracy"].value > 0.8
    # What is gray cannot be told, and the report says so.
    by_colour = {
        one["value"]: one["score"]["value"]
        for one in report.details["slices"]
        if one["column"] == "(colour)"
    }
    assert by_colour["in colour"] > by_colour["gray"] + 0.2


def test_nothing_of_a_file_but_its_pixels_is_told(tmp_path: Path) -> None:
    secret = b"taken at 37.5665 N"
    source = drawn(tmp_path / "drawn", 90, secret=secret)
    with Image.open(source / "red" / "1.jpg") as image:
        assert secret.decode() in image.getexif().get_ifd(0x8825).values()
    run = tmp_path / "run"
    evaluated(prepared_of(source, run), run)
    new = collect(source, tmp_path / "new", kind="image")
    evaluate_data(run / "4-model", new, tmp_path / "6-report")
    files = [*(run / "5-report").iterdir(), *(tmp_path / "6-report").iterdir()]
    files.append(run / "4-model" / "README.md")
    count = 0
    for file in files:
        text = file.read_text()
        assert len(text) < 1_000_000
        assert secret.decode() not in text
        for image in pictures_of(text):
            count += 1
            assert not image.getexif()
            assert not {*image.info} & {"exif", "comment", "icc_profile", "xmp", "photoshop"}
    assert count > 50


def test_a_picture_that_is_another_now_is_in_no_figure(tmp_path: Path) -> None:
    source, run = drawn(tmp_path / "drawn", 90), tmp_path / "run"
    prepared = prepared_of(source, run)
    three = prepared.rows("test")[[2, 5, 6]]
    names = [Pictures(prepared.dataset).name(row) for row in three.tolist()]
    (source / names[0]).unlink()
    (source / names[1]).write_bytes(b"no picture")
    Image.new("RGB", (80, 80), "blue").save(source / names[2], "PNG")
    report = evaluated(prepared, run)
    failed = report.to_dict()["data"]["failed"]
    assert [one["row"] for one in failed] == prepared.dataset.row_numbers[three].tolist()
    assert all("no longer the picture" in one["error"] for one in failed[1:])
    assert report["accuracy"].n == prepared.counts["test"] - 3
    assert any("could not be answered" in one for one in report.warnings)


def test_layers_are_told_of_what_prepare_read(tmp_path: Path) -> None:
    source, run = drawn(tmp_path / "drawn", 90), tmp_path / "run"
    prepared = prepared_of(source, run)
    whole = evaluated(prepared, run)
    first, second = prepared.rows("validation")[:2].tolist()
    (source / Pictures(prepared.dataset).name(first)).unlink()
    (source / Pictures(prepared.dataset).name(second)).write_bytes(b"no picture")
    again = evaluate(
        run / "4-model", prepared, tmp_path / "again", seconds={}, settings={"seed": 1}
    )
    assert again.details["layers"]["pictures"] == prepared.counts["validation"]
    assert again.details["layers"] == whole.details["layers"]


def test_layers_are_not_told_of_a_model_that_reads_another_size(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    source, run = drawn(tmp_path / "drawn", 60), tmp_path / "run"
    prepared = prepared_of(source, run)
    dataset, settings = prepared.dataset, {"labels": "single", "image_size": 16}
    small = prepare_images(dataset, tmp_path / "small", settings=settings)
    model = perceptron(small, run / "4-model")
    report = evaluate(model, prepared, run / "5-report", seconds={}, settings={})
    assert report.details["layers"] is None
    assert "reads pictures of another size" in caplog.text


def test_what_alpha_hides_is_shown_as_the_network_reads_it(models: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = ("cat", "dog")
    for i in range(30):
        pixels = random.integers(150, 255, (32, 32, 4), np.uint8)
        pixels[8:24, 8:24] = (200, 0, 0, 0)  # red, and none of it to be seen
        path = tmp_path / "clear" / labels[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    new = collect(tmp_path / "clear", tmp_path / "new", kind="image")
    report = evaluate_data(models / "vit-image", new, None)
    pipe = pipeline("image-classification", models / "vit-image")
    assert pipe.image_processor.background is None
    one = report.details["attributions"][0]
    (small,) = pictures_of(report.details["pictures"][str(one["row"])]["src"])
    assert small.convert("RGB").getpixel((16, 16)) == (200, 0, 0)
    own = np.flatnonzero(new.row_numbers == one["row"])[0]
    image = Pictures(new).image(int(own), None)
    label = [*pipe.model.config.id2label.values()].index(one["prediction"])
    np.testing.assert_allclose(one["saliency"], covering.saliency(pipe, image, label), atol=1e-5)


# ── new pictures ───────────────────────────────────────────────────────────────────────────────


def told(report: Report) -> dict[str, Any]:
    return {one["what"]: one for one in report.details["drift"]}


def test_pictures_of_the_same_kind_are_not_unlike(
    single: tuple[Path, Prepared], tmp_path: Path
) -> None:
    new = collect(rows("single", 1000, 1200), tmp_path / "new", kind="image")
    report = evaluate_data(single[0] / "4-model", new, tmp_path / "report")
    assert not any(one["clear"] for one in told(report).values())
    assert {"brightness", "contrast", "score of the answer"} <= {*told(report)}
    assert not any("training" in one for one in report.warnings)
    assert report["accuracy"].n == 200
    assert (tmp_path / "report" / "report.html").is_file()


def test_pictures_unlike_the_training_are_told_without_a_label(
    single: tuple[Path, Prepared], tmp_path: Path
) -> None:
    given = [{"image": 255 - one["image"] // 2} for one in rows("single", 1000, 1150)]
    new = collect(given, tmp_path / "new", kind="image", need_target=False)
    report = evaluate_data(single[0] / "4-model", new, None)
    assert not report.metrics
    found = told(report)
    assert found["brightness"]["clear"]
    assert found["brightness"]["here"] > found["brightness"]["train"] + 0.5
    assert found["contrast"]["clear"]
    assert any("unlike the training: brightness" in one for one in report.warnings)


def test_larger_pictures_in_colour_are_told(single: tuple[Path, Prepared], tmp_path: Path) -> None:
    given: list[dict[str, Any]] = []
    for one in rows("single", 1000, 1060):
        colour = np.stack([one["image"], one["image"] // 2, one["image"] // 4], axis=2)
        given.append({"image": colour.repeat(2, axis=0).repeat(3, axis=1), "label": one["label"]})
    new = collect(given, tmp_path / "new", kind="image")
    found = told(evaluate_data(single[0] / "4-model", new, None))
    for what in ("colour", "share of gray pictures", "shorter side in pixels", "width over height"):
        assert found[what]["clear"], what
    assert found["shorter side in pixels"]["here"] == 56


def test_pictures_of_the_training_are_counted(
    single: tuple[Path, Prepared], tmp_path: Path
) -> None:
    place, prepared = single
    given = rows("single", 0, 100) + rows("single", 2000, 2050)
    # The same pixels in another file are the same picture.
    held = io.BytesIO()
    Image.fromarray(given[0]["image"]).save(held, "BMP")
    given[0]["image"] = held.getvalue()
    new = collect(given, tmp_path / "new", kind="image")
    report = evaluate_data(place / "4-model", new, None)
    count = int((prepared.dataset.row_numbers[prepared.rows("train")] <= 100).sum())
    assert count > 30
    assert any(one.startswith(f"{count} of 150 pictures were in") for one in report.warnings)


def test_a_model_outside_of_its_run_says_what_it_cannot_compare(
    single: tuple[Path, Prepared], tmp_path: Path
) -> None:
    shutil.copytree(single[0] / "4-model", tmp_path / "alone")
    new = collect(rows("single", 1000, 1100), tmp_path / "new", kind="image")
    report = evaluate_data(tmp_path / "alone", new, None)
    assert report.details["drift"] is None
    assert any("not in its run" in one for one in report.warnings)
    assert "layers" not in report.details
    assert report["accuracy"].value > 0.5


def test_a_model_of_transformers_is_evaluated_too(models: Path, tmp_path: Path) -> None:
    config = json.loads((models / "vit-image" / "config.json").read_text())
    labels = [*config["id2label"].values()]
    given = [
        {"image": one["image"], "label": labels[i % len(labels)]}
        for i, one in enumerate(rows("single", 0, 60))
    ]
    new = collect(given, tmp_path / "new", kind="image")
    report = evaluate_data(models / "vit-image", new, tmp_path / "report")
    pipe = pipeline(model=models / "vit-image")
    answers: Any = pipe([Image.fromarray(one["image"]) for one in given], top_k=1)
    right = [a[0]["label"] == one["label"] for a, one in zip(answers, given, strict=True)]
    assert report["accuracy"].value == pytest.approx(np.mean(right), abs=1e-5)


def test_the_command_line_evaluates_a_folder(
    single: tuple[Path, Prepared], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for i, one in enumerate(rows("single", 1000, 1080)):
        path = tmp_path / "digits" / one["label"] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(one["image"]).save(path)
    command = ["evaluate", str(single[0] / "4-model"), "--data", str(tmp_path / "digits")]
    assert cli.main([*command, "--output", str(tmp_path / "out"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["metrics"]["accuracy"]["n"] == 80
    assert found["metrics"]["accuracy"]["value"] > 0.5
    floor = ["--set", "fail_under=accuracy:0.999", "--output", str(tmp_path / "again")]
    assert cli.main([*command, *floor]) == 1


def test_two_columns_of_pictures_are_refused(single: tuple[Path, Prepared], tmp_path: Path) -> None:
    new = collect(rows("single", 0, 5), tmp_path / "new", kind="image")
    object.__setattr__(new, "roles", type(new.roles)(("image", "box"), ("label",)))
    with pytest.raises(UsageError, match="one picture a row"):
        evaluate_data(single[0] / "4-model", new, None)


def test_no_more_pictures_are_in_memory_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "MOST_PIXELS", 1000)
    images = [Image.new("L", size) for size in [(10, 10)] * 70 + [(100, 20), (5, 5)]]
    some = [len(one) for one in scoring._some(images)]  # pyright: ignore[reportPrivateUsage]
    assert some == [*[10] * 7, 1, 1]
