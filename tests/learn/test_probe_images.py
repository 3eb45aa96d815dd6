"""A probe on pictures: a linear head on a frozen encoder, from files to answers without torch."""

from __future__ import annotations

import json
import re
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from numpy.typing import NDArray
from PIL import Image
from test_probe import child

import silmu
from silmu import graphs, store
from silmu.errors import ModelNotFoundError, SilmuError, UnsupportedModelError, UsageError
from silmu.networks.images import ImageNetwork, ImageNetworkConfig
from silmu.runtime.folder import Folder
from silmu.runtime.image_processor import FILE, ImageProcessor
from silmu.runtime.weights import Weights
from silmu.steps.collect.dataset import Dataset
from silmu.steps.design.image_encoder import ImageEncoder
from silmu.steps.prepare.prepared import Prepared
from silmu.steps.train import features, linear, probe
from silmu.steps.train.progress import Progress
from silmu.tasks.image_classification import ImageClassification

MODELS = Path(__file__).parents[1] / "models"
RESNET = MODELS / "resnet-base"
LABELS = ("cold", "warm")
Rows = list[dict[str, Any]]


def picture(warm: bool, draw: np.random.Generator) -> NDArray[np.uint8]:
    """Noise on red or on blue."""
    colour = (190, 70, 60) if warm else (50, 80, 180)
    return (colour + draw.normal(0, 20, (16, 16, 3))).clip(0, 255).astype(np.uint8)


def coloured(kind: str = "single", count: int = 120, seed: int = 0) -> Rows:
    """Pictures and what is true of them, which their colour tells."""
    draw = np.random.default_rng(seed)
    told: dict[str, Any] = {
        "single": lambda i: LABELS[i % 2],
        "ordered": lambda i: LABELS[i % 2],
        "multiple": lambda i: [LABELS[i % 2], *(["first"] if i < count // 2 else [])],
        "number": lambda i: 1000.0 + 500.0 * (i % 2) + i % 3,
    }
    return [{"image": picture(i % 2 == 1, draw), "label": told[kind](i)} for i in range(count)]


def trained(
    folder: Path, data: Rows, model: Path = RESNET, until: str = "train", **settings: Any
) -> silmu.run.Run:
    return silmu.train(
        "image-classification",
        data=data,
        target="label",
        network=f"probe:{model}",
        output=folder / "run",
        settings={"near_duplicates": False, **settings},
        until=until,
        quiet=True,
    )


def prepared_of(run: silmu.run.Run) -> Prepared:
    return Prepared.open(run.path / "2-prepared", Dataset.open(run.path / "1-dataset"))


def own(folder: Path, kind: str, channels: int = 3) -> Path:
    """A network of silmu's, as it begins."""
    torch.manual_seed(0)
    config = ImageNetworkConfig(
        kind=kind, image_size=(16, 16), num_channels=channels, num_outputs=2, hidden_size=8,
        num_layers=2,
    )  # fmt: skip
    tensors = ImageNetwork(config).eval().state_dict()
    processor = ImageProcessor.fitted((16, 16), channels, [0.5] * channels, [0.25] * channels)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.to_dict()))
    (folder / "model.safetensors").write_bytes(safetensors.torch.save(tensors))
    (folder / FILE).write_bytes(processor.to_bytes())
    return folder


# ── every kind of label ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["single", "ordered", "multiple", "number"])
def test_what_pictures_tell_is_learnt(kind: str, tmp_path: Path) -> None:
    order = {"order": "cold,warm"} if kind == "ordered" else {}
    run = trained(tmp_path, coloured(kind), labels=kind, **order)
    pipe: Any = silmu.pipeline(model=run.model)
    new = coloured(count=40, seed=1)
    answers = pipe([row["image"] for row in new])
    if kind == "number":
        found = [answer[0]["score"] for answer in answers]
        np.testing.assert_allclose(found[:2], [1000, 1500], atol=120)
        return
    scores = [{one["label"]: one["score"] for one in answer} for answer in answers]
    said = [LABELS[one["warm"] > one["cold"]] for one in scores]
    assert np.mean([one == row["label"] for one, row in zip(said, new, strict=True)]) > 0.9
    assert (pipe.thresholds is not None) == (kind == "multiple")
    outputs = len(pipe.model.config.id2label)
    assert json.loads((run.path / "3-design.json").read_bytes())["trainable"] == outputs * 65
    assert not (run.path / "4-train" / "features").exists()


# ── every encoder ──────────────────────────────────────────────────────────────────────────────

ENCODERS = {
    "vit-base": {"mean", "first", "pooler"},
    "vit-image": {"mean", "first"},
    "vit-image-rectangle": {"mean", "first"},
    "deit-base": {"mean", "first", "pooler"},
    "dinov2-base": {"mean", "first"},
    "swin-base": {"mean", "first"},
    "clip-base": {"mean", "first", "pooler"},
    "clip-vision": {"mean", "first", "pooler"},
    "siglip-base": {"mean", "first", "pooler"},
    "resnet-base": {"mean"},
    "convnext-base": {"mean", "pooler"},
    "convnextv2-image": {"mean", "pooler"},
    "mobilenet_v2-base": {"mean"},
}
"""How what they give becomes one vector; what would be the same is compared once."""


@pytest.mark.parametrize("name", ENCODERS)
def test_every_family_can_be_read_with(name: str, tmp_path: Path) -> None:
    # Where the graph and encoder and head differ, the model is not written.
    run = trained(tmp_path, coloured(count=60), MODELS / name)
    pipe: Any = silmu.pipeline(model=run.model)
    assert {one["label"] for one in pipe(coloured(count=1)[0]["image"])} == set(LABELS)
    config = json.loads((run.model / "config.json").read_bytes())
    assert config["model_type"] == "silmu-probe"
    compared = json.loads((run.path / "4-train" / "candidates.json").read_bytes())["candidates"]
    assert {one["pooling"] for one in compared} == ENCODERS[name]
    # An encoder's numbers stay as they were, and none of another part come with it.
    ours, theirs = (Weights.open(Folder(path, "it")) for path in (run.model, MODELS / name))
    kept = [key for key in ours.tensors if key.startswith("encoder.")]
    assert len(ours.tensors) == len(kept) + 2
    assert not [key for key in kept if "classifier" in key or "text_model" in key]
    for key in kept:
        names = [n for n in theirs.tensors if n.endswith(key.removeprefix("encoder."))]
        assert any(np.array_equal(ours[key], theirs[n]) for n in names)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "resnet"])
def test_a_network_that_silmu_trained_can_be_read_with(kind: str, tmp_path: Path) -> None:
    channels = 1 if kind == "mlp" else 3
    model = own(tmp_path / "encoder", kind, channels)
    run = trained(tmp_path, coloured(count=60), model)
    pipe: Any = silmu.pipeline(model=run.model)
    assert pipe.image_processor.channels == channels
    compared = json.loads((run.path / "4-train" / "candidates.json").read_bytes())["candidates"]
    known = {"mlp": {"pooler"}, "cnn": {"mean", "pooler"}, "resnet": {"mean"}}
    assert {one["pooling"] for one in compared} == known[kind]
    names = [n for n in Weights.open(Folder(run.model, "it")).tensors if "." in n]
    assert not [n for n in names if n.endswith(("output.weight", "scale", "shift"))]


def test_what_a_network_of_silmu_gives_before_its_last_layer(tmp_path: Path) -> None:
    pixels = np.stack([row["image"] for row in coloured(count=5)])
    for kind in ("mlp", "cnn", "resnet"):
        folder = own(tmp_path / kind, kind)
        extract: Any = silmu.pipeline("image-feature-extraction", model=str(folder))
        given = extract.image_processor.normalised(pixels)
        config = ImageNetworkConfig.from_dict(json.loads((folder / "config.json").read_text()))
        network = ImageNetwork(config).eval()
        network.load_state_dict(safetensors.torch.load_file(folder / "model.safetensors"))
        seen: dict[str, NDArray[np.float32]] = {}
        network.dropout.register_forward_hook(
            lambda _, inputs, __, seen=seen: seen.update(last=inputs[0].numpy())
        )
        with torch.inference_mode():
            network(torch.from_numpy(given))
        found = extract.model(pixel_values=given)
        np.testing.assert_allclose(found["pooler_output"], seen["last"], atol=1e-4)
        assert ("last_hidden_state" in found) == (kind != "mlp")
        if kind == "resnet":
            maps = found["last_hidden_state"]
            np.testing.assert_allclose(maps.mean(axis=(2, 3)), seen["last"], atol=1e-4)
        if kind == "mlp":
            assert len(extract(pixels[0], pool=True)[0]) == seen["last"].shape[1]
            with pytest.raises(UsageError, match="one vector for a picture"):
                extract(pixels[0])


@pytest.mark.parametrize("name", ["vit-base", "convnext-base", "cnn"])
def test_the_graph_is_the_head_on_the_features(name: str, tmp_path: Path) -> None:
    model = own(tmp_path / name, name) if name == "cnn" else MODELS / name
    run = trained(tmp_path, coloured(count=60), model, until="design")
    prepared, encoder = prepared_of(run), ImageEncoder(Folder(model, "it"), "cpu")
    settings = {"max_steps": None, "seed": 0}
    with Progress(quiet=True) as progress:
        found = probe.fit(encoder, prepared, settings, tmp_path / "4-train", progress)
    images = [Image.fromarray(row["image"]) for row in coloured(count=9, seed=2)]
    extract: Any = silmu.pipeline("image-feature-extraction", model=str(model))
    given = extract.model(**extract.image_processor.arrays(images))
    states = given["last_hidden_state"]
    vectors = {
        "mean": states.mean(axis=1 if states.ndim == 3 else (2, 3)),
        "first": states[:, 0],
        "pooler": given["pooler_output"].reshape(len(images), -1),
    }
    for pooling, size in encoder.sizes.items():
        draw = np.random.default_rng(size)
        head = linear.Head(draw.normal(0, 1, (2, size)), draw.normal(0, 1, 2))
        outcome = probe.Outcome(**{**vars(found), "pooling": pooling, "head": head})
        target = probe.write_model(tmp_path / pooling, encoder, outcome, prepared)
        pipe: Any = silmu.pipeline(model=target)
        logits = [pipe(one, function_to_apply="none") for one in images]
        names = pipe.model.config.id2label
        told = [[{a["label"]: a["score"] for a in one}[names[i]] for i in (0, 1)] for one in logits]
        np.testing.assert_allclose(told, head(vectors[pooling]), rtol=1e-3, atol=1e-3)
        # With weights of 8 bits it answers nearly the same.
        few: Any = silmu.pipeline(model=target, dtype="q8")
        best = [(a[0]["label"], b[0]["label"]) for a, b in zip(few(images), logits, strict=True)]
        assert sum(a == b for a, b in best) >= 8


def test_what_lies_between_the_layers_of_an_encoder_can_be_seen(tmp_path: Path) -> None:
    run = trained(tmp_path, coloured(count=60))
    folder = Folder(run.model, "it")
    shown = graphs.open_layers(folder, "image-classification")
    names = [name for name in shown.outputs if name.startswith("layers.")]
    assert names[0] == "layers.0.stem"
    assert len(names) == 4
    pixels = np.random.default_rng(0).normal(0, 1, (2, 3, 32, 32)).astype(np.float32)
    plain = graphs.open_session(folder, "image-classification").run({"pixel_values": pixels})
    np.testing.assert_allclose(
        shown.run({"pixel_values": pixels})["logits"], plain["logits"], atol=1e-4
    )


# ── without torch ──────────────────────────────────────────────────────────────────────────────


def test_the_whole_road_needs_no_torch(tmp_path: Path) -> None:
    for i, row in enumerate(coloured(count=100)):
        place = tmp_path / "pictures" / row["label"] / f"{i}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row["image"]).save(place)
    code = """
import silmu.cli
data, run, model, other = sys.argv[1:]
train = ['train', 'image-classification', '--data', data, '--output', run]
train += ['--network', f'probe:{model}', '--set', 'near_duplicates=false']
assert silmu.cli.main(train) == 0
made = f'{run}/4-model'
assert silmu.cli.main(['evaluate', made, '--data', data, '--output', other]) == 0
assert silmu.cli.main(['use', made, f'{data}/warm/1.png']) == 0
assert silmu.cli.main(['design', run]) == 0
assert not {'torch', 'transformers'} & {*sys.modules}
"""
    places = (str(tmp_path / name) for name in ("pictures", "run"))
    done = child(code, *places, str(RESNET), str(tmp_path / "other"))
    assert done.returncode == 0, done.stderr
    assert re.search(r"^warm +[01]\.\d+", done.stdout, re.MULTILINE)
    assert re.search(r"classifier +linear +2 x 64 +130$", done.stdout, re.MULTILINE)
    assert "accuracy" in (tmp_path / "run" / "4-model" / "README.md").read_text(encoding="utf-8")
    assert (tmp_path / "run" / "5-report" / "report.html").exists()


# ── killed ─────────────────────────────────────────────────────────────────────────────────────

TRAIN = """
import silmu
from silmu.steps.design import image_encoder
from silmu.steps.train import features
features.PART, image_encoder.MOST = 2, 8
silmu.train(sys.argv[1], until='train', quiet=True)
"""


def test_a_kill_anywhere_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "PART", 2)
    monkeypatch.setattr("silmu.steps.design.image_encoder.MOST", 8)
    begun = trained(tmp_path, coloured(), until="design").path
    whole, resumed = (shutil.copytree(begun, tmp_path / name) for name in ("whole", "resumed"))
    seen: list[str] = []
    with store.observe(lambda site, path: seen.append(f"{site} {path}")):
        run = silmu.train(whole, until="train", quiet=True)
    expected = (run.model / "model.safetensors").read_bytes()
    parts = [n for n, one in enumerate(seen, 1) if re.match(r"rename .*/train-0+\d$", one)]
    assert len(parts) > 3
    model = next(n for n, one in enumerate(seen, 1) if one.endswith("model.safetensors"))
    for n, kept in ((parts[2] - 1, 2), (model + 2, len(parts))):
        killed = child(TRAIN, str(resumed), SILMU_FAILPOINT=f"*:{n}:kill")
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert len([*(resumed / "4-train" / "features").glob("train-*")]) == kept
    seen.clear()
    with store.observe(lambda site, path: seen.append(f"{site} {path}")):
        run = silmu.train(resumed, until="train", quiet=True)
    assert not [one for one in seen if re.match(r"rename .*/train-0+\d$", one)]
    assert (run.model / "model.safetensors").read_bytes() == expected
    assert not [*resumed.rglob(".tmp-*")]


def test_fewer_pictures_are_drawn_from_all_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("silmu.steps.design.image_encoder.MOST", 10)
    data = sorted(coloured(), key=lambda row: row["label"])
    run = trained(tmp_path, data, max_steps=3)
    assert run.design is not None
    assert run.design.cost.steps == 3
    assert any(re.match(r"\d\d of \d\d pictures are learnt", note) for note in run.design.notes)
    encoder, prepared = ImageEncoder(Folder(RESNET, "it"), "cpu"), prepared_of(run)
    examples = encoder.examples(prepared, "train")
    batches = encoder.batches(examples)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(examples)))
    assert all(len({*examples.targets[batch].tolist()}) == 2 for batch in batches[:-1])
    pipe: Any = silmu.pipeline(model=run.model)
    assert [pipe(row["image"])[0]["label"] for row in coloured(count=2, seed=3)] == [*LABELS]


# ── refused, before any work ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("model", "settings", "error", "told"),
    [
        ("resnet-base", {"image_size": 32, "flip": True}, UsageError, "no image_size, flip"),
        ("resnet-base", {"epochs": 3}, UsageError, "no epochs"),
        ("resnet-base", {"search": 4}, UsageError, "finds its settings on the validation split"),
        ("bert-base", {}, UnsupportedModelError, "is a 'bert'; for image-feature-extraction"),
        ("nothing", {}, ModelNotFoundError, "no such folder"),
    ],
)
def test_refused_before_any_work(
    model: str, settings: dict[str, Any], error: type[Exception], told: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=told):
        trained(tmp_path, coloured(count=40), MODELS / model, **settings)
    assert not (tmp_path / "run").exists()


def test_encoders_without_layers_or_processor_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="a perceptron, which has no layer"):
        trained(tmp_path, coloured(count=40), own(tmp_path / "perceptron", "perceptron"))
    bare = shutil.copytree(RESNET, tmp_path / "bare")
    (bare / FILE).unlink()
    with pytest.raises(SilmuError, match=re.escape(FILE)):
        trained(tmp_path, coloured(count=40), bare)
    assert not (tmp_path / "run").exists()


def test_a_probe_by_itself_reads_with_an_encoder_of_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    options: dict[str, Any] = {"data": coloured(count=60), "network": "probe", "quiet": True}
    options |= {"settings": {"near_duplicates": False}, "until": "design"}
    with pytest.raises(ModelNotFoundError, match="facebook/dinov2-small") as caught:
        silmu.train("image-classification", output=tmp_path / "none", **options)
    assert "silmu pull facebook/dinov2-small" in str(caught.value.hint)
    assert not (tmp_path / "none").exists()
    repository = cache / "models--google--vit-base-patch16-224-in21k"
    shutil.copytree(MODELS / "vit-base", repository / "snapshots" / ("1" * 40))
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("1" * 40)
    run = silmu.train("image-classification", output=tmp_path / "run", **options)
    assert run.settings["network"] == "probe:google/vit-base-patch16-224-in21k"


def test_the_extra_follows_from_the_network() -> None:
    config = ImageClassification.Config()
    needed = [
        ImageClassification.extra(config.changed({"network": network}))
        for network in ("auto", "org/encoder", "probe", "probe:org/encoder")
    ]
    assert needed == ["train", "train", "report", "report"]
