"""Programs as they occur in public code: each prints what it prints under transformers 4.57.6, or
ends with an error that says why and what to write. They are in programs.md.
"""

from __future__ import annotations

import builtins
import functools
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import programs
import silmu
from programs import Program
from silmu.errors import SilmuError, UsageError
from silmu.pipelines.pt_utils import KeyDataset, KeyPairDataset
from test_golden import assert_close

HERE = Path(__file__).parent
PROGRAMS = programs.read()
GOLDEN: dict[str, Any] = json.loads((HERE / "golden" / "programs.json").read_text("utf-8"))

pytestmark = pytest.mark.filterwarnings("ignore:device=:UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where programs run: copies of the models that they name, and room for what they save."""
    target = tmp_path_factory.mktemp("programs")
    for name in sorted({name for program in PROGRAMS for name in program.models}):
        shutil.copytree(HERE / "models" / name, target / name)
    return target


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def those(*notes: str | None) -> list[Any]:
    return [
        pytest.param(
            program,
            id=program.name,
            marks=[pytest.mark.xfail(reason=program.why)] if program.note == "faulty" else [],
        )
        for program in PROGRAMS
        if program.note in notes
    ]


def compare(program: Program, expected: dict[str, Any]) -> None:
    """Runs a program under silmu, and compares with what transformers printed."""
    assert "prints" in expected, f"transformers fails here: {expected}; write what silmu does"
    assert_close(programs.plain(programs.run(program, "silmu")), expected["prints"])


@pytest.mark.parametrize("program", those(None, "faulty"))
def test_prints_what_transformers_prints(program: Program) -> None:
    compare(program, GOLDEN["programs"][program.name])


@pytest.mark.parametrize("program", those("differs"))
def test_differs_as_it_says(program: Program) -> None:
    assert program.prints is not None, "what does silmu print?"
    own = {"prints": json.loads(program.prints)}
    compare(program, own)
    recorded = GOLDEN["programs"][program.name]
    with pytest.raises(AssertionError):
        compare(program, recorded)


@pytest.mark.parametrize("program", those("refuses"))
def test_says_why_and_what_to_write(program: Program) -> None:
    kind, _, words = program.why.partition(": ")
    with pytest.raises(getattr(builtins, kind)) as caught:
        programs.run(program, "silmu")
    told = " ".join(str(caught.value).split())
    assert words in told
    assert isinstance(caught.value, SilmuError | AttributeError)


def test_a_model_says_what_to_ask_in_its_place() -> None:
    model = silmu.pipeline("text-generation", model="gpt2-lm").model
    for name, words in {
        "generate": "ask the pipeline: pipe(prompt, max_new_tokens=20)",
        "save_pretrained": "pipe.save_pretrained(folder)",
        "parameters": "`silmu train`",
        "cuda": "device=0",
        "half": 'dtype="q8"',
        "no_such_thing": "no 'no_such_thing'",
    }.items():
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=re.escape(words)):
            getattr(model, name)
    assert model.eval().to("cpu") is model


def test_a_model_does_not_go_elsewhere_in_silence() -> None:
    model = silmu.pipeline("text-classification", model="bert-sequence").model
    with pytest.raises(UsageError, match="not to be had"):
        model.to("cuda")


@pytest.mark.parametrize("name", ["Trainer", "BitsAndBytesConfig", "SquadExample", "NoSuchName"])
def test_an_absent_name_is_an_import_error(name: str) -> None:
    with pytest.raises(ImportError, match=f"silmu has no {name}"):
        exec(f"from silmu import {name}")
    with pytest.raises(AttributeError):
        _ = silmu.no_such_name


def test_the_dtype_of_model_kwargs_counts(caplog: pytest.LogCaptureFixture) -> None:
    made = functools.partial(silmu.pipeline, "text-classification", model="bert-sequence")
    assert made(model_kwargs={"torch_dtype": "torch.float32"}).model.precision == "fp32"
    assert made(model_kwargs={"dtype": "q8"}).model.precision == "q8"
    for name in ("load_in_8bit", "load_in_4bit", "quantization_config"):
        with pytest.raises(UsageError, match=r'dtype="q'):
            made(model_kwargs={name: True})
    assert not caplog.records
    made(model_kwargs={"attn_implementation": "sdpa"})
    assert "silmu ignores attn_implementation" in caplog.text


def test_key_datasets() -> None:
    rows = [{"a": "Good.", "b": "Fine."}, {"a": "Bad.", "b": "Awful."}]
    one, two = KeyDataset(rows, "a"), KeyPairDataset(rows, "a", "b")
    assert (len(one), list(one)) == (2, ["Good.", "Bad."])
    assert two[1] == {"text": "Bad.", "text_pair": "Awful."}
    pipe = silmu.pipeline("text-classification", model="bert-nli")
    assert_close(list(pipe(two)), pipe(list(two)))


def test_there_are_enough_and_each_is_recorded() -> None:
    names = [program.name for program in PROGRAMS]
    assert len(set(names)) == len(names) >= 100
    assert list(GOLDEN["programs"]) == names
    assert GOLDEN["transformers"] == "4.57.6"
    tasks = {name.partition("/")[0] for name in names}
    assert tasks >= {"sentiment", "ner", "qa", "zero-shot", "fill-mask", "features", "generation"}


def test_only_imports_are_changed() -> None:
    """What is run differs from what stands there in the name of the library, and nowhere else."""
    for program in PROGRAMS:
        lines = zip(program.source.splitlines(), program.under("silmu").splitlines(), strict=True)
        changed = [(old, new) for old, new in lines if old != new]
        assert changed, f"{program.name} does not import transformers"
        for old, new in changed:
            assert old.lstrip().startswith(("from transformers", "import transformers"))
            assert new.removesuffix(" as transformers") == old.replace("transformers", "silmu", 1)
        assert "transformers" not in program.under("silmu").replace(" as transformers", "").replace(
            "transformers.", ""
        )


def test_a_wrong_answer_is_seen() -> None:
    program = next(p for p in PROGRAMS if p.name == "sentiment/one-text")
    recorded = GOLDEN["programs"][program.name]["prints"]
    compare(program, {"prints": recorded})
    wrong = [{**recorded[0], "score": recorded[0]["score"] + 1e-3}, *recorded[1:]]
    for planted in (wrong, recorded[:1], [*recorded, 1]):
        with pytest.raises(AssertionError):
            compare(program, {"prints": planted})


def test_programs_leave_nothing_behind(folder: Path) -> None:
    """Stand-ins for torch are taken away again, and nothing is written beside the tests."""
    program = next(p for p in PROGRAMS if p.name == "sentiment/torch-device")
    programs.run(program, "silmu")
    assert "torch" not in sys.modules
    assert Path.cwd() == folder
    assert os.environ["HF_HUB_OFFLINE"] == "1"
