"""Token ids: fitted on training texts alone, the same here as in use, and cheap to read."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rows import dataset, reviews

from silmu import pipeline
from silmu.errors import (
    CorruptError,
    InputError,
    InvalidModelError,
    MissingKeyError,
    StoreError,
    UnknownNameError,
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime import processor as processors
from silmu.runtime.folder import Folder
from silmu.runtime.processor import Processor
from silmu.runtime.schema import Column, Schema, type_of
from silmu.runtime.text import Tokenizer
from silmu.steps.prepare import prepare_texts, texts
from silmu.steps.prepare.prepared import BATCH, Features, Prepared

KINDS = ("bpe", "unigram", "characters")


def prepare(
    tmp_path: Path,
    columns: dict[str, Any],
    *,
    name: str = "a",
    backbone: Path | None = None,
    roles: dict[str, Any] | None = None,
    **settings: Any,
) -> Prepared:
    rows = dataset(tmp_path / f"{name}-1", columns, **(roles or {}))
    return prepare_texts(rows, tmp_path / f"{name}-2", settings=settings, backbone=backbone)


def vocabulary(kind: str, count: int = 400, size: int | None = 400) -> bytes:
    rows = [(text,) for text in reviews(count)[0]]
    return texts.vocabulary(lambda: rows, kind, size, num_texts=count)


def opened(data: bytes, folder: Path) -> Tokenizer:
    folder.mkdir(exist_ok=True)
    (folder / "tokenizer.json").write_bytes(data)
    (folder / "tokenizer_config.json").write_bytes(texts.vocabulary_config(64, pairs=False))
    return Tokenizer.open(Folder(folder, "x"))


# ── what is fitted ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backbone", [False, True])
def test_what_is_fitted_has_seen_the_training_rows_alone(
    tmp_path: Path, models: Path, backbone: bool
) -> None:
    rows, labels = reviews(300)
    part = ["train", "train", "validation", "test"] * 75
    folder = models / "bert-sequence" if backbone else None

    def fitted(name: str, **changed: list[str]) -> str:
        columns = {"text": rows, "label": labels, "part": part, **changed}
        return prepare(
            tmp_path, columns, name=name, backbone=folder, roles={"split": "part"}
        ).fitted

    def mutated(where: tuple[str, ...]) -> list[str]:
        return [
            f"ZQX 뷁 {text} {'long ' * 40}" if p in where else text
            for text, p in zip(rows, part, strict=True)
        ]

    flipped = ["bad" if p != "train" else label for p, label in zip(part, labels, strict=True)]
    first = fitted("a")
    assert fitted("b", text=mutated(("test", "validation"))) == first
    assert fitted("c", label=flipped) == first
    # A row that is trained on changes it: the hash is of something.
    assert fitted("d", text=mutated(("train",))) != first
    trained = ["good" if p == "train" and n % 3 else labels[n] for n, p in enumerate(part)]
    assert fitted("e", label=trained) != first


PROGRAM = """
import hashlib, sys
sys.path.insert(0, {here!r})
from test_prepare_texts import KINDS, vocabulary
print([hashlib.sha256(vocabulary(kind)).hexdigest() for kind in KINDS])
"""


def test_a_vocabulary_is_the_same_in_every_process() -> None:
    found = set()
    for seed, threads in (("0", "1"), ("1", "2"), ("2", "4")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        environment["TOKENIZERS_PARALLELISM"] = "false" if threads == "1" else "true"
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(here=str(Path(__file__).parent))],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout)
    assert len(found) == 1


# ── vocabularies ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_come_first_and_strangers_are_unknown(kind: str, tmp_path: Path) -> None:
    tokenizer = opened(vocabulary(kind), tmp_path / "t")
    assert [tokenizer.pad_token_id, tokenizer.unk_token_id] == [0, 1]
    assert tokenizer.convert_tokens_to_ids("[SEP]") == 1
    assert len(tokenizer) <= 400
    ids = tokenizer.encode("영화 뷁 ☃").ids
    assert ids.count(1) >= 2
    assert set(ids) - {1}
    assert max(tokenizer.get_vocab().values()) == len(tokenizer) - 1


@pytest.mark.parametrize("kind", KINDS)
def test_hangul_is_never_taken_apart(kind: str, tmp_path: Path) -> None:
    tokenizer = opened(vocabulary(kind), tmp_path / "t")
    text = "정말 재미있는 영화"
    whole = tokenizer.encode(text)
    apart = tokenizer.encode(unicodedata.normalize("NFD", text))
    assert whole.ids == apart.ids
    assert 1 not in whole.ids
    tokens = tokenizer.convert_ids_to_tokens(whole.ids)
    assert "".join(tokens).replace("\u2581", " ").strip() == text
    letters = {letter for token in tokenizer.get_vocab() for letter in token}
    assert not any("\u1100" <= letter <= "\u11ff" for letter in letters)
    assert tokenizer.decode(whole.ids) == text


def test_case_and_blanks_make_no_difference(tmp_path: Path) -> None:
    tokenizer = opened(vocabulary("bpe"), tmp_path / "t")
    one = tokenizer.encode("The  FILM\u00a0was\tgood\u200b\x00")
    assert one.ids == tokenizer.encode("the film was good").ids


def test_a_larger_vocabulary_has_longer_tokens(tmp_path: Path) -> None:
    lengths = {
        kind: len(opened(vocabulary(kind), tmp_path / kind).encode("좋은 영화 이야기").ids)
        for kind in KINDS
    }
    assert lengths["bpe"] < lengths["characters"] > lengths["unigram"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pairs", [False, True])
def test_transformers_opens_it_and_reads_the_same(tmp_path: Path, kind: str, pairs: bool) -> None:
    transformers = pytest.importorskip("transformers")
    rows, labels = reviews(200)
    columns = {"text": rows, "other": rows[::-1], "label": labels}
    found = prepare(
        tmp_path,
        columns,
        roles={"input": "text,other"} if pairs else {},
        vocabulary=kind,
        vocabulary_size=300,
    )
    theirs = transformers.AutoTokenizer.from_pretrained(found.processor)
    assert theirs.model_max_length == found.max_length
    assert (theirs.pad_token_id, theirs.unk_token_id) == (0, 1)
    features = found.features("validation")
    for i, parts in enumerate(found.texts("validation")):
        ids = theirs(*parts, truncation=True)["input_ids"]
        assert ids == features.ids(i).tolist()


# ── the same in training and in use ────────────────────────────────────────────────────────────


def model(tmp_path: Path, models: Path, found: Prepared, name: str = "bert-sequence") -> Path:
    """A model folder with what prepare leaves for it."""
    folder = tmp_path / "model"
    shutil.copytree(models / name, folder)
    for path in found.processor.iterdir():
        shutil.copy(path, folder)
    shutil.copy(found.path / "schema.json", folder)
    return folder


ODD = ["", "   ", "\u200b", "[SEP] [PAD] [UNK] [CLS]", "a" * 3000, "뷁" * 50, "word " * 4000]


@pytest.mark.parametrize("name", ["bert-sequence", "gpt2-sequence", "distilbert-sequence"])
def test_features_are_what_the_pipeline_reads(tmp_path: Path, models: Path, name: str) -> None:
    rows, labels = reviews(200)
    part = ["validation"] * 60 + ["train"] * 80 + ["test"] * 60
    rows[: len(ODD)] = ODD
    columns = {"text": rows, "label": labels, "part": part}
    found = prepare(tmp_path, columns, backbone=models / name, roles={"split": "part"})
    pipe = pipeline("text-classification", str(model(tmp_path, models, found, name)))
    features = found.features("validation")
    seen = list(found.texts("validation"))
    assert len(seen) == len(features) >= 58  # of blank texts one stays
    for i, (text,) in enumerate(seen):
        read = pipe.preprocess(text)
        assert read["input_ids"][0].tolist() == features.ids(i).tolist()
        assert 1 <= features.lengths[i] <= found.max_length
    assert found.truncated["validation"] >= 1
    assert found.empty["validation"] >= 1
    assert len(pipe([text for (text,) in seen])) == len(seen)


def test_pairs_are_what_the_pipeline_reads(tmp_path: Path, models: Path) -> None:
    rows, labels = reviews(200)
    others = [text if n % 5 else "" for n, text in enumerate(reviews(200, seed=3)[0])]
    columns = {"first": rows, "second": others, "label": labels}
    found = prepare(
        tmp_path, columns, backbone=models / "bert-sequence", roles={"input": "first,second"}
    )
    pipe = pipeline("text-classification", str(model(tmp_path, models, found)))
    features = found.features("train")
    kinds = set()
    for i, (text, pair) in enumerate(found.texts("train")):
        read = pipe.preprocess({"text": text, "text_pair": pair})
        assert read["input_ids"][0].tolist() == features.ids(i).tolist()
        types = features.type_ids(i)
        assert types is not None
        assert read["token_type_ids"][0].tolist() == types.tolist()
        kinds.add(max(types.tolist()))
    assert kinds == {0, 1}


def test_segments_that_the_tokenizer_does_not_name_are_not_given(
    tmp_path: Path, models: Path
) -> None:
    rows, labels = reviews(100)
    backbone = tmp_path / "bert"
    shutil.copytree(models / "bert-sequence", backbone)
    settings = json.loads((backbone / "tokenizer_config.json").read_text())
    settings["model_input_names"] = ["input_ids", "attention_mask"]
    (backbone / "tokenizer_config.json").write_text(json.dumps(settings))
    columns = {"first": rows, "second": rows[::-1], "label": labels}
    found = prepare(tmp_path, columns, backbone=backbone, roles={"input": "first,second"})
    assert found.features("train").type_ids(0) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_made_here_reads_the_same_when_opened(tmp_path: Path, kind: str) -> None:
    rows, labels = reviews(150)
    rows[:3] = ["", "\u200b \n", "☃"]
    part = ["validation"] * 50 + ["train"] * 60 + ["test"] * 40
    columns = {"text": rows, "label": labels, "part": part}
    found = prepare(tmp_path, columns, roles={"split": "part"}, vocabulary=kind)
    folder = Folder(found.processor, "x")
    tokenizer, processor = Tokenizer.open(folder), Processor.open(folder)
    assert processor == Processor(("text",), "single", found.max_length)
    features = found.features("validation")
    for i, (text,) in enumerate(found.texts("validation")):
        options = {"truncation": True, "max_length": processor.max_length}
        read = processors.encode(tokenizer, text, **options)
        assert read.ids == features.ids(i).tolist()
    assert features.ids(0).tolist() == [1]
    assert found.empty["validation"] >= 1


def test_a_pipeline_reads_as_much_as_training_did(tmp_path: Path, models: Path) -> None:
    rows, labels = reviews(100)
    found = prepare(
        tmp_path, {"text": rows, "label": labels}, backbone=models / "bert-sequence", max_length=16
    )
    folder = model(tmp_path, models, found)
    pipe = pipeline("text-classification", str(folder))

    def length(**given: Any) -> int:
        return pipe.preprocess("good " * 500, **given)["input_ids"].shape[1]

    assert length() == length(truncation=True) == length(truncation="only_first") == 16
    assert length(max_length=20) == 20
    with pytest.raises(InputError, match="reads at most 128"):
        length(truncation=False)
    with pytest.raises(InputError, match="reads at most 128"):
        pipe("good " * 500, truncation=False)
    pipe("the first run of a session may differ in the last bits")
    assert pipe("good " * 500) == pipe(" ".join(["good"] * 400))
    assert pipe.thresholds is None
    processor = Processor.open(Folder(folder, "x"))
    assert processor is not None
    changed = processor.with_thresholds([0.25, 0.5, 0.75])
    (folder / "processor.json").write_bytes(changed.to_bytes())
    assert pipeline("text-classification", str(folder)).thresholds == (0.25, 0.5, 0.75)
    # A model that silmu did not train is as it was.
    plain = pipeline("text-classification", str(models / "bert-sequence"))
    assert plain.thresholds is None
    with pytest.raises(InputError, match="reads at most 128"):
        plain("good " * 500)


def test_how_much_is_read_is_chosen_and_said(tmp_path: Path, caplog: Any) -> None:
    rows, labels = reviews(1000)
    for n in (0, 250, 500):
        rows[n] += " great" * 1000
    with caplog.at_level(logging.INFO, "silmu"):
        found = prepare(tmp_path, {"text": rows, "label": labels})
    assert found.max_length % 8 == 0
    assert found.max_length < 100
    total = sum(found.truncated.values())
    assert 1 <= found.truncated["train"] <= total <= 10
    assert f"longer than {found.max_length} tokens" in caplog.text
    features = found.features("train")
    assert features.lengths.max() == found.max_length
    asked = prepare(tmp_path, {"text": rows, "label": labels}, name="b", max_length=700)
    assert asked.features("train").lengths.max() == 700


def test_more_than_a_backbone_reads_is_refused(tmp_path: Path, models: Path) -> None:
    rows, labels = reviews(100)
    with pytest.raises(UsageError, match="from 1 to 128"):
        prepare(
            tmp_path,
            {"text": rows, "label": labels},
            backbone=models / "bert-sequence",
            max_length=200,
        )


# ── the folder ─────────────────────────────────────────────────────────────────────────────────


def _sum(features: Features) -> int:
    return sum(int(features.ids(i).sum()) for i in range(len(features)))


def _tell(features: Features, answers: Any) -> None:
    answers.put(_sum(features))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_features_go_to_other_processes_by_their_path(tmp_path: Path, method: str) -> None:
    rows, labels = reviews(300)
    found = prepare(tmp_path, {"text": rows, "label": labels}, vocabulary="characters")
    features = found.features("train")
    assert len(pickle.dumps(features)) < 1000
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    worker = context.Process(target=_tell, args=(features, answers))
    worker.start()
    assert answers.get(timeout=60) == _sum(features) > 0
    worker.join()


def test_features_of_more_than_one_batch(tmp_path: Path) -> None:
    count = 2 * BATCH + 700
    rows, labels = reviews(count, words=6)
    part = ["train"] * (count - 100) + ["validation", "test"] * 50
    found = prepare(
        tmp_path,
        {"text": rows, "label": labels, "part": part},
        roles={"split": "part"},
        vocabulary="characters",
        near_duplicates=False,
    )
    features = found.features("train")
    assert len(features) == len(features.rows) == len(features.targets) == found.counts["train"]
    tokenizer = Tokenizer.open(Folder(found.processor, "x"))
    chosen = {0, BATCH - 1, BATCH, 2 * BATCH, len(features) - 1}
    for i, (text,) in enumerate(found.texts("train")):
        if i in chosen:
            ids = tokenizer.encode(text, truncation=True, max_length=found.max_length).ids
            assert features.ids(i).tolist() == ids
            assert features.lengths[i] == len(ids)
    assert features.type_ids(0) is None
    assert not features.ids(0).flags.writeable


def test_the_test_split_is_sealed(tmp_path: Path) -> None:
    rows, labels = reviews(200)
    found = prepare(tmp_path, {"text": rows, "label": labels}, vocabulary="characters")
    with pytest.raises(UnknownNameError, match="sealed"):
        found.features("test")
    names = {path.relative_to(found.path).as_posix() for path in found.path.rglob("*.arrow")}
    assert names == {"splits.arrow", "features/train.arrow", "features/validation.arrow"}
    held = set(found.features("train").rows.tolist()) | set(
        found.features("validation").rows.tolist()
    )
    assert not held & set(found.rows("test").tolist())
    with pytest.raises(UnknownNameError, match="no split 'dev'"):
        found.rows("dev")


def test_it_opens_as_it_was_left_and_only_with_its_rows(tmp_path: Path) -> None:
    rows, labels = reviews(200)
    found = prepare(tmp_path, {"text": rows, "label": labels}, vocabulary="characters")
    again = Prepared.open(found.path, found.dataset)
    assert (again.about, repr(again)) == (found.about, repr(found))
    other = prepare(tmp_path, {"text": rows[1:], "label": labels[1:]}, name="b")
    with pytest.raises(CorruptError, match="from other rows"):
        Prepared.open(found.path, other.dataset)
    with pytest.raises(StoreError, match="already there"):
        prepare_texts(found.dataset, found.path)
    path = found.path / "features" / "train.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptError, match=r"train\.arrow"):
        Prepared.open(found.path, found.dataset)


def test_the_same_rows_and_settings_leave_the_same_bytes(tmp_path: Path) -> None:
    rows, labels = reviews(300)
    folders = [
        prepare(tmp_path, {"text": rows, "label": labels}, name=name).path for name in ("a", "b")
    ]
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    )
    assert first == second


# ── processor.json and schema.json ─────────────────────────────────────────────────────────────

BROKEN: list[dict[str, Any]] = [
    {"format": "1"},
    {"inputs": []},
    {"inputs": "text"},
    {"inputs": [1]},
    {"kind": "regression"},
    {"max_length": 0},
    {"max_length": True},
    {"max_length": None},
    {"thresholds": [2]},
    {"thresholds": "high"},
    {"thresholds": [True]},
]


@pytest.mark.parametrize("change", BROKEN)
def test_a_broken_processor_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    sound = json.loads(Processor(("text",), "single", 16).to_bytes())
    path = tmp_path / "processor.json"
    path.write_text(json.dumps(sound))
    assert Processor.open(Folder(tmp_path, "x")) == Processor(("text",), "single", 16)
    path.write_text(json.dumps(sound | change))
    with pytest.raises(InvalidModelError, match=r"processor\.json of `x`"):
        Processor.open(Folder(tmp_path, "x"))


@pytest.mark.parametrize("kind", [Processor, Schema])
def test_files_of_a_newer_silmu_are_refused(tmp_path: Path, kind: Any) -> None:
    assert kind.open(Folder(tmp_path, "x")) is None
    for name in ("processor.json", "schema.json"):
        (tmp_path / name).write_text('{"format": 2}')
    with pytest.raises(UnsupportedModelError, match="format 2"):
        kind.open(Folder(tmp_path, "x"))


def test_the_schema_tells_of_the_columns(tmp_path: Path) -> None:
    rows, labels = reviews(200)
    columns = {
        "text": rows,
        "label": labels,
        "who": [n % 20 for n in range(200)],
        "stars": 200 * [1],
    }
    found = prepare(tmp_path, columns, roles={"group": "who"}, vocabulary="characters")
    schema = Schema.open(Folder(found.path, "x"))
    assert schema is not None
    lengths = [len(text) for (text,) in found.texts("train")]
    assert schema.columns == (
        Column("text", "input", "text", (), (min(lengths), max(lengths))),
        Column("label", "target", "text", ("bad", "good")),
        Column("who", "group", "number"),
        Column("stars", "other", "number"),
    )
    assert schema.check({"text": "string", "more": "int64"}) == []
    with pytest.raises(MissingKeyError, match=r"no column `text`; it has `review`"):
        schema.check({"review": "string"})
    with pytest.raises(MissingKeyError, match="no column `label`"):
        schema.check({"text": "string"}, need_target=True)
    with pytest.raises(InputError, match="the model reads texts"):
        schema.check({"text": "list<item: string>"})
    assert schema.check({"text": "string", "label": "int64"}, need_target=True) == [
        "`label` was text in training, and is number (int64)"
    ]
    assert len(schema.check({"text": "int64"})) == 1
    assert schema.unseen(["good", "best", "bad", "best"]) == ["best"]
    assert schema.odd({"text": "good"}) == []
    assert "the longest text" in schema.odd({"text": "good" * 1000})[0]
    with pytest.raises(InputError, match="must be a text"):
        schema.odd({"text": None})
    with pytest.raises(MissingKeyError, match="no `text`"):
        schema.odd({"texts": "a"})


@pytest.mark.parametrize(
    "columns", [None, {}, [{}], [{"name": 1, "role": "input", "type": "text"}], ["text"],
                [{"name": "a", "role": "boss", "type": "text"}],
                [{"name": "a", "role": "input", "type": "text", "characters": 3}]]
)  # fmt: skip
def test_a_broken_schema_is_refused(tmp_path: Path, columns: Any) -> None:
    (tmp_path / "schema.json").write_text(json.dumps({"format": 1, "columns": columns}))
    if columns == {}:
        assert Schema.open(Folder(tmp_path, "x")) == Schema(())
        return
    with pytest.raises(InvalidModelError, match=r"schema\.json of `x`"):
        Schema.open(Folder(tmp_path, "x"))


def test_types_have_one_name() -> None:
    names = ["string", "large_string", "VARCHAR", "dictionary<values=string, indices=int32>"]
    assert {type_of(name) for name in names} == {"text"}
    names = ["int8", "uint64", "double", "float", "decimal128(5, 2)", "BIGINT"]
    assert {type_of(name) for name in names} == {"number"}
    assert [type_of(n) for n in ("bool", "date32[day]", "timestamp[us]", "list<item: int8>")] == [
        "truth", "time", "time", "list",
    ]  # fmt: skip
    assert type_of("struct<a: int8>") == "other"


def test_a_long_text_is_cut_and_not_refused(tmp_path: Path) -> None:
    rows, labels = reviews(60)
    rows[5] = "good film " * 110_000
    found = prepare(tmp_path, {"text": rows, "label": labels}, near_duplicates=False)
    assert np.isin(5, np.concatenate([found.rows(s) for s in ("train", "validation", "test")]))
    assert found.max_length <= 512


@pytest.mark.parametrize(
    ("some", "kind"),
    [
        (
            ["배우들 연기가 정말 좋았다", "연기가 좋았다 정말", "배우들 정말 좋았다 ok"],
            "characters",
        ),
        (["the acting was so good", "so good was the acting", "the acting 좋았다"], "bpe"),
    ],
)
def test_the_script_decides_the_vocabulary(some: list[str], kind: str) -> None:
    def made(vocabulary_kind: str) -> bytes:
        rows = [(text,) for text in some]
        return texts.vocabulary(lambda: rows, vocabulary_kind, None, num_texts=len(rows))

    assert made("auto") == made(kind)
    assert made("auto") != made({"bpe": "characters", "characters": "bpe"}[kind])
