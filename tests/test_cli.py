"""The command line: what it prints, where, and the code with which it ends."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import silmu
from silmu import cli, extras, registry, store
from silmu.cli import _flags, _rows, use
from silmu.errors import InputError
from silmu.run import task_class

MODELS = Path(__file__).parent / "models"
SEQUENCE, QA, BASE, LM = (
    str(MODELS / name) for name in ("bert-sequence", "bert-qa", "bert-base", "gpt2-lm")
)
NER, MASK, NLI = (str(MODELS / name) for name in ("bert-ner", "bert-mask", "bert-nli"))
COMMAND = [sys.executable, "-m", "silmu"]
FROZEN = {
    *("--data", "--input", "--target", "--group", "--time", "--network", "--budget", "--output"),
    *("--search", "--config", "--set", "--device", "--dtype", "--seed", "--json"),
    *("-q", "--quiet", "-v", "--verbose", "-h", "--help", "--task", "--revision"),
    *("--env", "--episodes", "--video"),
}
QUESTION = {"question": "Who was it?", "context": "In the end it was Kim."}


class Done(NamedTuple):
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """One command in this process; `stdin` is what it reads."""
    monkeypatch.setenv("COLUMNS", "80")
    logger = logging.getLogger("silmu")
    handlers, level = logger.handlers, logger.level

    def run(*arguments: str | Path, stdin: str | bytes = b"") -> Done:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        code = cli.main([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    yield run
    logger.handlers, logger.level = handlers, level
    os.environ.pop("HF_HUB_DISABLE_PROGRESS_BARS", None)


def start(*arguments: str, **settings: str) -> subprocess.Popen[bytes]:
    pipes = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}
    # Where the tests run unbuffered, a line that is not flushed would go unnoticed.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"} | settings
    return subprocess.Popen([*COMMAND, *arguments], env=environment, **pipes)


def lines_of_json(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def close(found: Any, expected: Any) -> bool:
    """Equal but for the last bits of numbers, which depend on what is computed together."""
    if isinstance(expected, float):
        return found == pytest.approx(expected, abs=1e-5)
    if isinstance(expected, dict):
        return list(found) == list(expected) and close([*found.values()], [*expected.values()])
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(close, found, expected))
    return found == expected


@pytest.fixture(scope="module")
def classify() -> Any:
    return silmu.pipeline("text-classification", SEQUENCE)


# ── the command itself ─────────────────────────────────────────────────────────────────────────


def test_overview(run: Run) -> None:
    done = run("--help")
    assert (done.code, done.err) == (0, "")
    head, *rows, tail = done.out.rstrip("\n").split("\n\n")
    assert head == "usage: silmu VERB ..."
    assert rows[0] == "Deep learning from a study note to practice."
    assert [row.split()[0] for row in rows[1].splitlines()] == cli.verbs()
    assert "  use       Answer with a model: texts, pictures, lines of stdin, or the " in rows[1]
    assert tail == (
        "`silmu VERB --help` shows what a verb takes, `silmu --version` which silmu this is."
    )
    assert run("-h") == done
    assert run() == Done(2, "", done.out)


def test_help_of_a_verb(run: Run) -> None:
    assert run("tasks", "--help") == Done(
        0,
        """\
usage: silmu tasks [-h] [--json] [-q] [-v] [TASK]

List the tasks that there are, or tell all of one: its use, and what can be set.

  silmu tasks
  silmu tasks question-answering

What is told stands in the tasks' own files, which are read and not run.

positional arguments:
  TASK           the task to tell all of

options:
  -h, --help     show this help message and exit
  --json         one line of JSON for each answer
  -q, --quiet    say nothing but answers and errors
  -v, --verbose  say more, and show where an error came from
""",
        "",
    )


@pytest.mark.parametrize("verb", cli.verbs())
def test_every_verb_explains_itself(run: Run, verb: str) -> None:
    done = run(verb, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"usage: silmu {verb} ")
    # The list of all verbs shows the first line on a terminal of 80 columns or little more.
    module = sys.modules[f"silmu.cli.{verb}"]
    first, second, *_ = (module.__doc__ or "").split("\n")
    assert first.endswith(".")
    assert len(first) < 90
    assert second == ""


def test_version(run: Run) -> None:
    assert run("--version") == Done(0, f"silmu {silmu.__version__}\n", "")


def test_the_flags_are_few_and_frozen() -> None:
    found = {option for verb in cli.verbs() for option in cli.Parser(verb).options}
    assert found == FROZEN
    assert {name for name in _flags.FLAGS} == {name for name in FROZEN if name[:2] == "--"} - {
        "--help"
    }
    for flag in ("--env", "--episodes", "--video"):
        assert [verb for verb in cli.verbs() if flag in cli.Parser(verb).options] == ["use"]


def test_a_wrong_verb(run: Run) -> None:
    assert run("uze", SEQUENCE) == Done(
        2,
        "",
        f"error: no verb `uze`; there are {', '.join(cli.verbs())}\n"
        "\n"
        "hint: did you mean `use`? `silmu --help` shows them\n",
    )
    assert "no option `--versoin`" in run("--versoin").err


def test_a_wrong_flag(run: Run) -> None:
    assert run("use", SEQUENCE, "text", "--jsn") == Done(
        2,
        "",
        """\
error: `silmu use` has no option `--jsn`

hint: did you mean `--json`? `silmu use --help` lists all; \
a text that begins with `-` goes after `--`
""",
    )
    assert run("use", SEQUENCE, "text", "--js").code == 2, "no abbreviations"
    assert "did you mean `--device`" in run("use", SEQUENCE, "text", "--devise=cpu").err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["use"], "the following arguments are required: MODEL"),
        (["use", SEQUENCE, "a", "--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["tasks", "ner", "more"], "`more` is more than it takes"),
        (["use", SEQUENCE], "there is nothing to answer"),
        (["use", SEQUENCE, "a", "--data", "b.csv"], "texts and --data are given"),
        (["use", SEQUENCE, "a", "--output", "b.csv"], "--output is given without --data"),
        (["use", SEQUENCE, "-", "--input", "a"], "--input is given without --data"),
        (["use", SEQUENCE, "a", "--set", "top_k"], "--set was given `top_k`; it must be KEY=VALUE"),
        (["use", SEQUENCE, "a", "--set", "top-k=1"], "it must be KEY=VALUE"),
        (["use", SEQUENCE, "a", "--set", "top_q=1"], "unexpected keyword top_q"),
        (["use", SEQUENCE, "a", "--device", "tpu"], "device 'tpu' is not to be had"),
        (["use", SEQUENCE, "a", "--dtype", "fp3"], "dtype is 'fp3'"),
        (["use", SEQUENCE, "a", "--task", "text-clasification"], "no task named"),
        (["use", "./nothing", "a"], "no such folder: `./nothing`"),
        (["use", "no such", "a"], "`no such` is neither a folder here nor the id of a model"),
        (["use", SEQUENCE, "--data", "nothing.csv"], "`nothing.csv` cannot be read: No such file"),
        (["use", SEQUENCE, "--data", "a.xlsx"], "`a.xlsx` is not one of the kinds of file"),
        (["tasks", "question-answring"], "no task named `question-answring`"),
        (["pull"], "the following arguments are required: MODEL"),
    ],
)
def test_what_cannot_be_run(run: Run, arguments: list[str], says: str) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert says in done.err
    assert "Traceback" not in done.err


def test_the_nearest_task_is_named(run: Run) -> None:
    error, _, hint = run("tasks", "question-answring").err.partition("\n\n")
    assert error.startswith("error: no task named `question-answring`; there are ")
    assert hint == "hint: did you mean `question-answering`? `silmu tasks` lists all\n"


def test_a_traceback_is_shown_when_asked_for(run: Run) -> None:
    done = run("use", "./nothing", "a", "-v")
    assert done.code == 2
    assert done.err.startswith("Traceback (most recent call last):")
    assert "error: no such folder: `./nothing`\n\nhint: " in done.err


def test_a_fault_of_silmu_is_shown_whole(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> int:
        raise ZeroDivisionError("planted")

    cli.Parser("tasks")  # so that the module is there
    monkeypatch.setattr(sys.modules["silmu.cli.tasks"], "run", broken)
    done = run("tasks")
    assert (done.code, done.out) == (2, "")
    assert "Traceback" in done.err
    assert done.err.endswith("ZeroDivisionError is a fault of silmu, not of what was given\n")


# ── what it loads ──────────────────────────────────────────────────────────────────────────────

HEAVY = ("numpy", "onnx", "onnxruntime", "tokenizers", "torch", "transformers", "huggingface_hub")
HEAVY += ("duckdb", "pyarrow", "sklearn")
PROGRAM = f"import sys; {{}}; sys.stderr.write(','.join(m for m in {HEAVY} if m in sys.modules))"


@pytest.mark.parametrize(
    ("code", "loads"),
    [
        ("from silmu.cli import main; main(['--help'])", ""),
        ("from silmu.cli import main; main(['--version'])", ""),
        ("from silmu.cli import main; main(['use', '--help'])", ""),
        ("from silmu.cli import main; main(['doctor', '--help'])", ""),
        ("from silmu.cli import main; main(['explain', '--help'])", ""),
        ("from silmu.cli import main; main(['train', '--help'])", ""),
        ("from silmu.cli import main; main(['evaluate', '--help'])", ""),
        ("from silmu.cli import main; main(['tasks'])", ""),
        ("from silmu.cli import main; main(['tasks', 'text-generation'])", ""),
        ("import numpy", "numpy"),  # or this test could not fail
    ],
)
def test_help_loads_nothing_heavy(code: str, loads: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(code)], capture_output=True, text=True, check=True
    )
    assert done.stderr == loads


# ── use ────────────────────────────────────────────────────────────────────────────────────────


def test_texts_as_lines(run: Run, classify: Any) -> None:
    texts = ["I love this", "정말 좋은 영화였어요", "two\nlines\tand a tab", "long " * 40]
    shown = [
        "I love this",
        "정말 좋은 영화였어요",
        "two lines and a tab",
        ("long " * 12)[:59] + "…",
    ]
    expected = [
        f"{found['label']} {found['score']:.4f}  {text}\n"
        for found, text in zip(classify(texts), shown, strict=True)
    ]
    assert run("use", SEQUENCE, *texts) == Done(0, "".join(expected), "")


def test_several_labels_are_one_line(run: Run, classify: Any) -> None:
    found = classify("I love this", top_k=2)
    told = ", ".join(f"{one['label']} {one['score']:.4f}" for one in found)
    done = run("use", SEQUENCE, "--set", "top_k=2", "I love this")
    assert done == Done(0, f"{told}  I love this\n", "")


def test_texts_as_json(run: Run, classify: Any) -> None:
    texts = ["I love this", "여기"]
    done = run("use", SEQUENCE, texts[0], "--json", texts[1], "--set", "top_k=3")
    assert (done.code, done.err) == (0, "")
    assert close(lines_of_json(done.out), classify(texts, top_k=3))
    assert len(done.out.splitlines()) == 2


def test_json_is_not_escaped(run: Run) -> None:
    context = "그 사람은 김민수였다."
    given = json.dumps({"question": "누구?", "context": context}, ensure_ascii=False)
    done = run("use", QA, given, "--json")
    found = json.loads(done.out)
    assert found["answer"] == context[found["start"] : found["end"]]
    assert json.dumps(found, ensure_ascii=False) == done.out.rstrip("\n")


def test_a_text_may_begin_with_a_dash(run: Run, classify: Any) -> None:
    done = run("use", SEQUENCE, "--json", "--", "-5 degrees", "--json")
    assert close(lines_of_json(done.out), classify(["-5 degrees", "--json"]))


def test_every_option_reaches_the_pipeline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}

    class Answering:
        rows = "text"
        task = "text-classification"

        def __call__(self, inputs: Iterator[str], **settings: Any) -> Iterator[Any]:
            seen["settings"] = settings
            return ({"label": text, "score": 1.0} for text in inputs)

    def opened(task: str | None, model: str, **options: Any) -> Answering:
        seen.update(task=task, model=model, **options)
        return Answering()

    monkeypatch.setattr(silmu, "pipeline", opened)
    monkeypatch.setattr(silmu, "set_seed", lambda seed: seen.update(seed=seed))  # pyright: ignore
    options = ["--task=t", "--revision=r", "--device=-1", "--dtype=fp32", "--seed=7"]
    sets = ["--set", "a=1", "--set", "b=x=y", "--set", "c=null", "--set", 'd=["e"]']
    sets += ["--set", "engine=openvino"]
    assert run("use", "m", "hello", *options, *sets) == Done(0, "hello 1.0000  hello\n", "")
    assert seen == {
        "task": "t",
        "model": "m",
        "revision": "r",
        "device": -1,
        "dtype": "fp32",
        "model_kwargs": {"engine": "openvino"},
        "seed": 7,
        "settings": {"a": 1, "b": "x=y", "c": None, "d": ["e"]},
    }


def test_a_question_is_a_json_object(run: Run) -> None:
    found = silmu.pipeline("question-answering", QA)(**QUESTION)
    done = run("use", QA, json.dumps(QUESTION))
    assert done == Done(0, f"{found['answer']} {found['score']:.4f}  Who was it?\n", "")
    assert close(json.loads(run("use", QA, json.dumps(QUESTION), "--json").out), found)


def test_an_answer_that_there_is_not(run: Run) -> None:
    done = run("use", QA, json.dumps(QUESTION), "--set", "handle_impossible_answer=true")
    told = done.out.rpartition("  ")[0].rpartition(" ")[0]
    found = silmu.pipeline("question-answering", QA)(**QUESTION, handle_impossible_answer=True)
    assert told == (found["answer"] or "(no answer)")


def test_generated_text_is_printed_as_it_is(run: Run) -> None:
    options = ("--set", "max_new_tokens=6", "--set", "do_sample=false")
    write = silmu.pipeline("text-generation", LM)
    found = write("Once upon", max_new_tokens=6, do_sample=False)
    assert run("use", LM, "Once upon", *options).out == found[0]["generated_text"] + "\n"


def test_a_seed_repeats_what_is_drawn(run: Run) -> None:
    command = ("use", LM, "Once upon", "--set", "max_new_tokens=16", "--json", "--seed")
    first = run(*command, "3").out
    assert run(*command, "3").out == first
    assert run(*command, "4").out != first


def test_vectors_are_counted_or_written(run: Run) -> None:
    vectors = silmu.pipeline("feature-extraction", BASE)("hello")
    size = f"1 by {len(vectors[0])} by {len(vectors[0][0])} numbers"
    assert run("use", BASE, "hello") == Done(0, f"{size}  hello\n", "")
    assert close(json.loads(run("use", BASE, "hello", "--json").out), vectors)
    as_array = run("use", BASE, "hello", "--json", "--set", "return_tensors=true")
    assert close(json.loads(as_array.out), vectors)


def test_what_cannot_be_answered_is_said_and_the_rest_answered(run: Run, classify: Any) -> None:
    long = "word " * 5000
    done = run("use", SEQUENCE, "one", long, "two", long, "--json")
    first, failed, second, again = lines_of_json(done.out)
    assert close([first, second], classify(["one", "two"]))
    assert done.code == 1
    assert failed == again
    assert "tokens, and this model reads at most" in failed["error"]
    assert done.err == (
        f"error: input 2: {failed['error']}\n"
        "\n"
        "hint: give truncation=True to read its beginning only\n"
        f"error: input 4: {failed['error']}\n"
    )
    without_json = run("use", SEQUENCE, "one", long, "two")
    assert [line.split()[-1] for line in without_json.out.splitlines()] == ["one", "two"]
    assert run("use", SEQUENCE, long, "--set", "truncation=true").code == 0


def test_a_question_that_is_none(run: Run) -> None:
    done = run("use", QA, "Who?", '["a"]', '{"question": "Who?"}', json.dumps(QUESTION), "--json")
    assert done.code == 1
    assert [("error" in one) for one in lines_of_json(done.out)] == [True, True, True, False]
    assert 'hint: this task takes {"question": "...", "context": "..."}\n' in done.err


def test_lines_of_stdin(run: Run, classify: Any) -> None:
    texts = ["one", "두 번째", "with\x85odd\u2028breaks"]
    data = "\ufeff" + texts[0] + "\r\n" + texts[1] + "\n\n" + texts[2]
    done = run("use", SEQUENCE, "-", "--json", stdin=data)
    answers = lines_of_json(done.out)
    assert answers.pop(2) == {"error": "the text is empty"}
    assert close(answers, classify(texts))
    assert done.code == 1
    assert run("use", SEQUENCE, "-", stdin="") == Done(0, "", "")


def test_a_line_that_is_not_utf8(run: Run, classify: Any) -> None:
    done = run("use", SEQUENCE, "-", "--json", stdin=b"one\n\xff\xfe\ntwo\n")
    first, failed, second = lines_of_json(done.out)
    assert close([first, second], classify(["one", "two"]))
    assert failed["error"].startswith("a line is not UTF-8")


def test_questions_on_stdin(run: Run) -> None:
    data = f"{json.dumps(QUESTION)}\nnonsense\n{json.dumps(QUESTION)}\n"
    done = run("use", QA, "-", "--json", stdin=data)
    assert ["answer" in one for one in lines_of_json(done.out)] == [True, False, True]


def test_an_answer_comes_before_the_end_of_stdin() -> None:
    with start("use", SEQUENCE, "-", "--json", "--set", "batch_size=1") as process:
        assert process.stdin
        assert process.stdout
        for text in (b"one\n", b"two\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert "label" in json.loads(process.stdout.readline())
        out, err = process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


def test_a_stream_is_not_held_in_memory() -> None:
    pulled = 0

    def endless() -> Iterator[tuple[Any, Any]]:
        nonlocal pulled
        while True:
            pulled += 1
            yield pulled, "a fine film"

    answers = use.each(silmu.pipeline("text-classification", SEQUENCE), endless(), {})
    for number, (row, *_) in zip(range(1, 600), answers, strict=False):
        assert row == number
    assert pulled < 600 + 600


class Picky:
    """Reads three ahead, and fails as a whole if one of them is bad."""

    def __call__(self, inputs: Iterator[str]) -> Iterator[str]:
        while window := [text for _, text in zip(range(3), inputs, strict=False)]:
            if "bad" in window:
                raise InputError("bad")
            yield from window


@pytest.mark.parametrize(
    "given",
    [
        ["a", "b", "c", "d"],
        ["bad"],
        ["bad", "bad"],
        ["a", "bad", "b", "c", "d", "e", "bad"],
        [InputError("worse"), "a", "b"],
        ["a", InputError("worse"), "bad", InputError("worse"), "b"],
        ["a", "b", "bad", InputError("worse")],
        [],
    ],
)
def test_one_bad_input_spoils_no_other(given: list[Any]) -> None:
    found = list(use.each(Picky(), iter(list(enumerate(given))), {}))
    assert [row for row, *_ in found] == list(range(len(given)))
    assert [one for _, one, _ in found] == given
    wrong = [isinstance(answer, InputError) for *_, answer in found]
    assert wrong == [item == "bad" or isinstance(item, InputError) for item in given]
    assert all(isinstance(a, InputError) or a == one for _, one, a in found)


# ── files ──────────────────────────────────────────────────────────────────────────────────────

TRICKY = ["plain", 'a "quoted" word', "a, comma", "two\nlines", "정말 좋아요", " spaces ", "=1+1"]


def write_csv(path: Path, rows: list[list[str]], *, start: str = "", delimiter: str = ",") -> Path:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    path.write_bytes((start + text.getvalue()).encode())
    return path


@pytest.mark.parametrize(
    ("name", "start", "delimiter"),
    [("a.csv", "", ","), ("a.csv", "\ufeff", ","), ("a.tsv", "", "\t"), ("A.CSV", "", ",")],
)
def test_a_table_comes_back_with_what_was_predicted(
    run: Run, tmp_path: Path, classify: Any, name: str, start: str, delimiter: str
) -> None:
    rows = [["id", "text"], *([str(i), text] for i, text in enumerate([*TRICKY, ""]))]
    data = write_csv(tmp_path / name, rows, start=start, delimiter=delimiter)
    output = tmp_path / "out" / name
    done = run("use", SEQUENCE, "--data", data, "--output", output)
    assert done == Done(
        1,
        f"{output}\n",
        "warning: 1 of 8 rows could not be answered; the column `error` says why\n",
    )
    content = output.read_bytes().decode()
    assert content.startswith("\ufeff") == bool(start)
    table = list(csv.reader(io.StringIO(content.lstrip("\ufeff")), delimiter=delimiter))
    assert table[0] == ["id", "text", "prediction", "score", "error"]
    assert [row[:2] for row in table] == rows
    for row, found in zip(table[1:-1], classify(TRICKY), strict=True):
        assert close([row[2], float(row[3]), row[4]], [found["label"], found["score"], ""])
    assert table[-1][2:] == ["", "", "the text is empty"]
    assert [path.name for path in output.parent.iterdir()] == [name]


def test_what_was_written_can_be_read_again(run: Run, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", [["text", "n"], *([text, "1"] for text in TRICKY)])
    assert run("use", SEQUENCE, "--data", data, "--output", tmp_path / "b.csv").code == 0
    expected = [list(row.values()) for row in read(data)]
    text = (tmp_path / "b.csv").read_text().replace("prediction,score,error", "p,s,e", 1)
    (tmp_path / "c.csv").write_text(text)
    assert [list(row.values())[:2] for row in read(tmp_path / "c.csv")] == expected


def read(path: Path) -> list[dict[str, Any]]:
    return [row for block in _rows.open_source(str(path)).blocks(3) for row in block.rows()]


def test_lines_of_json_come_back(run: Run, tmp_path: Path, classify: Any) -> None:
    data, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    rows = [{"n": 1, "text": "좋아요", "tags": ["x"]}, {"n": 2.5, "text": None}]
    data.write_text("\n\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = ("--output", output, "--set", "top_k=2")
    assert run("use", SEQUENCE, "--data", data, *options).code == 1
    first, second = lines_of_json(output.read_text(encoding="utf-8"))
    assert close(first.pop("prediction"), classify("좋아요", top_k=2))
    assert first == {**rows[0], "score": None, "error": None}
    assert second == {**rows[1], "prediction": None, "score": None, "error": "the text is empty"}


def test_a_list_in_a_cell_is_json(run: Run, tmp_path: Path, classify: Any) -> None:
    data = write_csv(tmp_path / "a.csv", [["text"], ["fine"]])
    output = tmp_path / "b.csv"
    assert run("use", SEQUENCE, "--data", data, "--output", output, "--set", "top_k=2").code == 0
    [row] = csv.DictReader(io.StringIO(output.read_text()))
    assert close(json.loads(row["prediction"]), classify("fine", top_k=2))


def test_questions_in_a_table(run: Run, tmp_path: Path) -> None:
    rows = [["id", "context", "question"], ["7", QUESTION["context"], QUESTION["question"]]]
    data = write_csv(tmp_path / "a.csv", [*rows, ["8", "x", ""]])
    output = tmp_path / "b.csv"
    assert run("use", QA, "--data", data, "--output", output).code == 1
    first, second = csv.DictReader(io.StringIO(output.read_text()))
    found = silmu.pipeline("question-answering", QA)(**QUESTION)
    assert close(float(first["score"]), found.pop("score"))
    assert json.loads(first["prediction"]) == found
    assert second["error"] == "`question` is empty"
    wrong = run(
        "use", QA, "--data", write_csv(tmp_path / "c.csv", [["question", "text"], ["a", "b"]])
    )
    assert (wrong.code, "has no column `context`; it has `question`, `text`" in wrong.err) == (
        2,
        True,
    )
    named = run("use", QA, "--data", data, "--input", "context")
    assert (named.code, "--input names one column" in named.err) == (2, True)


def test_generated_text_in_a_table(run: Run, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", [["prompt"], ["Once upon"]])
    output = tmp_path / "b.jsonl"
    options = ("--set", "max_new_tokens=4", "--set", "do_sample=false", "--output", output)
    assert run("use", LM, "--data", data, *options).code == 0
    write = silmu.pipeline("text-generation", LM)
    expected = write("Once upon", max_new_tokens=4, do_sample=False)[0]["generated_text"]
    [row] = lines_of_json(output.read_text(encoding="utf-8"))
    assert row == {"prompt": "Once upon", "prediction": expected, "score": None, "error": None}


def test_entities_on_a_line_and_in_a_table(run: Run, tmp_path: Path) -> None:
    tag = silmu.pipeline("ner", NER, aggregation_strategy="simple")
    texts = ["My name is Clara.", "the", "나는 부산에서 산다."]
    found = tag(texts)
    assert min(map(len, found)) < 2 < max(map(len, found)), "one or none is no other kind of answer"
    options = ("--set", "aggregation_strategy=simple")
    done = run("use", NER, *texts, *options)
    assert done.code == 0
    for line, text, entities in zip(done.out.splitlines(), texts, found, strict=True):
        told = [f"{one['entity_group']} ({one['word']}) {one['score']:.4f}" for one in entities]
        assert line == f"{', '.join(told) or '(nothing)'}  {text}"
    data = write_csv(tmp_path / "a.csv", [["text"], *([text] for text in texts)])
    output = tmp_path / "b.csv"
    assert run("use", NER, "--data", data, "--output", output, *options).code == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert close([json.loads(row["prediction"]) for row in rows], found)
    assert {row["score"] for row in rows} == {""}


def test_gaps_on_a_line_and_in_a_table(run: Run, tmp_path: Path) -> None:
    fill = silmu.pipeline("fill-mask", MASK, top_k=2)
    texts = ["The sea is [MASK].", "The [MASK] is [MASK]."]
    found = fill(texts)

    def told(words: Any) -> str:
        return ", ".join(f"{one['token_str']} {one['score']:.4f}" for one in words)

    done = run("use", MASK, *texts, "no gap", "--set", "top_k=2")
    first, second = done.out.splitlines()
    assert (done.code, "no mask, which this model calls [MASK]" in done.err) == (1, True)
    assert first == f"{told(found[0])}  {texts[0]}"
    assert second == f"{told(found[1][0])} / {told(found[1][1])}  {texts[1]}"
    data, output = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    data.write_text("\n".join(json.dumps({"text": text}) for text in texts), encoding="utf-8")
    assert run("use", MASK, "--data", data, "--output", output, "--set", "top_k=1").code == 0
    rows = lines_of_json(output.read_text(encoding="utf-8"))
    assert close([row["prediction"] for row in rows], fill(texts, top_k=1))
    assert {row["score"] for row in rows} == {None}


def test_labels_of_ones_own(run: Run, tmp_path: Path) -> None:
    task = ("--task", "zero-shot-classification", "--set", "candidate_labels=sport, water")
    choose = silmu.pipeline("zero-shot-classification", NLI, candidate_labels=["sport", "water"])
    texts = ["The sea is cold.", "나는 서울에서 산다."]
    found = choose(texts)
    done = run("use", NLI, *texts, *task)
    for line, text, one in zip(done.out.splitlines(), texts, found, strict=True):
        pairs = zip(one["labels"], one["scores"], strict=True)
        assert line == f"{', '.join(f'{label} {score:.4f}' for label, score in pairs)}  {text}"
    data = write_csv(tmp_path / "a.csv", [["text"], *([text] for text in texts)])
    output = tmp_path / "b.csv"
    assert run("use", NLI, "--data", data, "--output", output, *task).code == 0
    rows = list(csv.DictReader(io.StringIO(output.read_text(encoding="utf-8"))))
    assert [row["prediction"] for row in rows] == [one["labels"][0] for one in found]
    assert close([float(row["score"]) for row in rows], [one["scores"][0] for one in found])
    several = tmp_path / "c.jsonl"
    options = ("--data", data, "--output", several, *task, "--set", "multi_label=true")
    assert run("use", NLI, *options).code == 0
    for row, one in zip(
        lines_of_json(several.read_text(encoding="utf-8")),
        choose(texts, multi_label=True),
        strict=True,
    ):
        labels = [{"label": one["labels"][i], "score": one["scores"][i]} for i in range(2)]
        assert close(row["prediction"], labels)
    wrong = run("use", NLI, *texts, *task[:2])
    assert (wrong.code, "no labels to choose from" in wrong.err) == (2, True)


def test_rows_without_an_output_are_printed(run: Run, tmp_path: Path, classify: Any) -> None:
    data = write_csv(tmp_path / "a.csv", [["id", "text"], ["1", "fine"]])
    found = classify("fine")[0]
    done = run("use", SEQUENCE, "--data", data)
    assert done == Done(0, f"{found['label']} {found['score']:.4f}  fine\n", "")


@pytest.mark.parametrize(
    ("content", "options", "says"),
    [
        ("a,b\nx,y\n", [], "has 2 columns of text among `a`, `b`"),
        ("a,b\n1,2\n", [], "has no columns of text among `a`, `b`"),
        ("a,b\nx,y\n", ["--input", "c"], "has no column `c`; it has `a`, `b`"),
        ("a,error\nx,y\n", [], "already has a column `error`"),
        ("a,a\nx,y\n", [], "has two columns of the same name: a, a"),
        ("a,b\nx\n", [], "line 2 of `{}` has 1 cells, and the first line names 2 columns"),
        ('a\n"x\ny', [], "line 3 of `{}`: unexpected end of data"),
        ("", [], "is empty; its first line must name the columns"),
        (b"a\n\xff\xfe\n", [], "is not UTF-8"),
    ],
)
def test_a_table_that_cannot_be_used(
    run: Run, tmp_path: Path, content: str | bytes, options: list[str], says: str
) -> None:
    data, output = tmp_path / "a.csv", tmp_path / "b.csv"
    data.write_bytes(content if isinstance(content, bytes) else content.encode())
    done = run("use", SEQUENCE, "--data", data, "--output", output, *options)
    assert (done.code, done.out) == (2, "")
    assert says.format(data) in done.err
    assert not output.exists()


def test_lines_that_are_no_objects(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "a.jsonl"
    for line in ("[1]", "{", "[" * 100_000):
        data.write_text('{"text": "a"}\n' + line)
        done = run("use", SEQUENCE, "--data", data, "--output", tmp_path / "b.jsonl")
        assert (done.code, f"line 2 of `{data}` is not a JSON object" in done.err) == (2, True)
        assert not (tmp_path / "b.jsonl").exists()


def test_a_table_of_no_rows(run: Run, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", [["text"]])
    assert run("use", SEQUENCE, "--data", data, "--output", tmp_path / "b.csv").code == 0


def test_a_cell_longer_than_csv_allows(tmp_path: Path) -> None:
    long = "x" * 200_000
    assert read(write_csv(tmp_path / "a.csv", [["a"], [long]])) == [{"a": long}]


def test_an_output_is_whole_or_not_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = write_csv(tmp_path / "a.csv", [["text"], ["fine"]])
    output = tmp_path / "b.csv"
    before = "text,prediction,score,error\nas it was,,,\n"
    output.write_text(before)
    monkeypatch.setenv("SILMU_FAILPOINT", "write:2+:ENOSPC")  # the first only says who writes
    done = run("use", SEQUENCE, "--data", data, "--output", output)
    assert (done.code, done.out, output.read_text()) == (2, "", before)
    assert "No space left" in done.err
    monkeypatch.delenv("SILMU_FAILPOINT")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv", "b.csv"]


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".jsonl", ".json", ".json.gz"])
def test_only_answers_are_written_over(run: Run, tmp_path: Path, ending: str) -> None:
    data = write_csv(tmp_path / "a.csv", [["text"], ["fine"]])
    output = tmp_path / f"b{ending}"
    command = ("use", SEQUENCE, "--data", data, "--output", output)
    others = (b"text,label\nmine,1\n", b'{"text": "mine"}\n', b'[\n{"text": "mine"}\n]\n', b"\x1f")
    for other in others:
        output.write_bytes(other)
        done = run(*command)
        assert (done.code, done.out, output.read_bytes()) == (2, "", other)
        assert f"`{output}` is already there, and holds no answers" in done.err
    output.write_bytes(b"")
    assert run(*command).code == 0
    answers = output.read_bytes()
    assert run(*command).code == 0
    assert output.read_bytes() == answers != b""


# ── pull ───────────────────────────────────────────────────────────────────────────────────────


def test_pull_makes_a_plain_folder(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "cache" / "models--org--model"
    commit = "c" * 40
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    for path in Path(SEQUENCE).iterdir():
        (repository / "blobs" / path.name).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(Path("..", "..", "blobs", path.name))
    (snapshot / "pytorch_model.bin").write_bytes(b"not wanted")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))

    assert run("pull", "org/model") == Done(0, f"{snapshot}\n", "")
    output = tmp_path / "out" / "model"
    assert run("pull", "org/model", "--output", output) == Done(0, f"{output}\n", "")
    names = sorted([*(path.name for path in Path(SEQUENCE).iterdir()), store.MANIFEST])
    assert sorted(path.name for path in output.iterdir()) == names
    assert not any(path.is_symlink() for path in output.iterdir())
    assert store.verify(output).meta == {"model": "org/model", "snapshot": commit}
    assert run("use", output, "fine").out == run("use", SEQUENCE, "fine").out

    again = run("pull", "org/model", "--output", output)
    assert (again.code, again.out) == (2, "")
    assert again.err.startswith(f"error: `{output}` is already there\n\nhint: ")
    as_json = run("pull", "org/model", "--json")
    assert json.loads(as_json.out) == {"model": "org/model", "path": str(snapshot)}


def test_pull_without_a_network_says_what_to_do(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert run("pull", "org/model", "--revision", "v2", "--output", tmp_path / "m") == Done(
        2,
        "",
        """\
error: `org/model` at `v2` is not whole in the cache, which lacks config.json, \
model.safetensors, tokenizer.json; HF_HUB_OFFLINE keeps from asking the hub

hint: where there is a network, run `silmu pull org/model --revision v2 --output model`; \
bring the folder here and give it as the model: pipeline(model='model')
""",
    )
    assert list(tmp_path.iterdir()) == []


# ── tasks ──────────────────────────────────────────────────────────────────────────────────────


def test_tasks_lists_all(run: Run) -> None:
    done = run("tasks")
    assert (done.code, done.err) == (0, "")
    blocks = done.out.rstrip("\n").split("\n\n")
    assert [block.split("\n")[0].split(",")[0] for block in blocks] == list(registry.pipelines())
    assert (
        "text-classification, also sentiment-analysis\n"
        "  Sort texts into labels: sentiment, topic, or whatever the model was trained for.\n"
        "  default model: distilbert/distilbert-base-uncased-finetuned-sst-2-english\n"
        "  can be learnt from your data"
    ) in blocks


def test_tasks_as_json(run: Run) -> None:
    records = {record["task"]: record for record in lines_of_json(run("tasks", "--json").out)}
    assert list(records) == list(registry.pipelines())
    assert records["feature-extraction"] == {
        "task": "feature-extraction",
        "aliases": ["embeddings"],
        "model": "distilbert/distilbert-base-cased",
        "revision": "6ea8117",
        "learnt": False,
        "summary": "Turn texts into vectors: what the last layer says of each token.",
    }


@pytest.mark.parametrize("task", registry.pipelines())
def test_a_task_tells_its_story(run: Run, task: str) -> None:
    done = run("tasks", task)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(task)
    assert "\n\n>>> " in done.out
    assert "doctest" not in done.out
    assert "\n\nArgs:\n    " in done.out
    record = json.loads(run("tasks", task, "--json").out)
    assert record["story"] in done.out
    assert record["task"] == task


def test_a_task_tells_what_can_be_set(run: Run) -> None:
    record = json.loads(run("tasks", "text-classification", "--json").out)
    settings = {one["name"]: one for one in record["settings"]}
    assert settings["budget"] == {
        "name": "budget",
        "default": "None",
        "type": "str | None",
        "about": "How long the steps of training may take, such as `10m`; all trials of a search "
        "together.",
    }
    assert {"labels", "epochs", "seed"} <= set(settings)
    told = run("tasks", "text-classification").out
    assert all(f"\n  {name} = " in told for name in settings)
    assert json.loads(run("tasks", "text-generation", "--json").out)["settings"] == []


@pytest.mark.parametrize("task", sorted(registry.tasks()))
def test_every_setting_of_a_task_is_told(run: Run, task: str) -> None:
    told = [one["name"] for one in json.loads(run("tasks", task, "--json").out)["settings"]]
    fields = dataclasses.fields(task_class(task).Config)
    assert sorted(told) == sorted(field.name for field in fields)


def test_an_alias_tells_the_story_of_its_task(run: Run) -> None:
    assert run("tasks", "sentiment-analysis") == run("tasks", "text-classification")


# ── doctor ─────────────────────────────────────────────────────────────────────────────────────


def test_doctor(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "a").write_bytes(b"x" * 1_500_000)
    (tmp_path / "link").symlink_to("blobs/a")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    monkeypatch.setenv("HF_TOKEN", "hf_not-a-real-token")
    found = json.loads(run("doctor", "--json").out)
    assert found["silmu"] == silmu.__version__
    assert found["missing"] == []
    assert found["packages"]["numpy"] == metadata.version("numpy")
    assert found["caches"]["hub"] == {"path": str(tmp_path), "bytes": 1_500_000}
    assert found["hub"] == {"endpoint": "https://hub.example", "offline": True, "token": True}
    assert "CPUExecutionProvider" in found["engine"]["providers"]
    done = run("doctor")
    assert (done.code, done.err) == (0, "")
    table, _, cures = done.out.partition("\n\n")
    assert all(line.startswith("`rm -r ") for line in cures.splitlines())
    lines = dict(line.split("  ", 1) for line in table.splitlines())
    shown = {name: text.strip() for name, text in lines.items()}
    assert shown["hub cache"] == f"{tmp_path} (1.5 MB)"
    assert shown["hub"] == "https://hub.example, HF_HUB_OFFLINE keeps from asking it, a token"
    assert "hf_not-a-real-token" not in done.out + json.dumps(found)


def test_doctor_finds_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    wants = [
        "numpy>=1.26",
        "no-such-package>=2",
        "scikit-learn>=1; extra == 'report'",
        'no-such-extra>=1 ; extra == "report"',
        "numpy>=1; extra == 'data'",
    ]
    monkeypatch.setattr(metadata, "requires", lambda _: wants)
    monkeypatch.setattr(extras, "packages", extras.packages.__wrapped__)
    done = run("doctor")
    assert done.code == 1
    assert "numpy            " + metadata.version("numpy") in done.out
    assert "no-such-package  MISSING\n" in done.out
    assert "extra report     lacks " in done.out
    assert "no-such-extra: pip install 'silmu[report]'\n" in done.out
    assert "extra data       installed\n" in done.out
    assert done.out.endswith(
        "missing, and needed:\n"
        "  no-such-package: not installed\n"
        "\n"
        "`pip install --force-reinstall silmu` brings what is missing\n"
    )
    assert json.loads(run("doctor", "--json").out)["missing"] == ["no-such-package: not installed"]


def test_doctor_finds_what_cannot_be_loaded(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    found = json.loads(run("doctor", "--json").out)
    assert found["engine"] is None
    [missing] = found["missing"]
    version = metadata.version("onnxruntime")
    assert missing.startswith(f"onnxruntime: version {version} cannot be loaded: ")


# ── processes ──────────────────────────────────────────────────────────────────────────────────


def test_python_m_silmu() -> None:
    with start("--version") as process:
        out, err = process.communicate()
    assert (process.returncode, out.decode(), err) == (0, f"silmu {silmu.__version__}\n", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_control_c_ends_with_130() -> None:
    with start("use", SEQUENCE, "-", "--set", "batch_size=1") as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"one\n")
        process.stdin.flush()
        process.stdout.readline()  # it now waits for the next line
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"interrupted\n")


def test_a_reader_who_leaves_is_no_error() -> None:
    with start("use", SEQUENCE, "-", "--json") as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(b"one\n" * 50)
        process.stdin.flush()
        process.stdout.readline()
        process.stdout.close()
        process.stdin.close()
        err = process.stderr.read()
    assert (process.returncode, err) == (0, b"")


def test_pipes_are_utf8_whatever_the_locale() -> None:
    with start("use", SEQUENCE, "좋아요", PYTHONIOENCODING="ascii", LC_ALL="C") as process:
        out, _ = process.communicate()
    assert out.decode("utf-8").endswith("  좋아요\n")


def test_warnings_are_lines_and_quiet_drops_them() -> None:
    options = ("use", SEQUENCE, "fine", "--device", "0", "--dtype", "fp16")
    with start(*options) as loud, start(*options, "-q") as quiet:
        out, err = loud.communicate()
        assert quiet.communicate() == (out, b"")
    told = err.decode().splitlines()
    assert [line.partition(" ")[0] for line in told] == ["warning:", "warning:"]
    assert "device=0" in told[0]
    assert "dtype fp16" in told[1]


# ── learning, on an installation that only uses ────────────────────────────────────────────────


@pytest.mark.parametrize("verb", ["check", "collect", "prepare", "design", "train", "evaluate"])
def test_what_learns_names_the_install_that_it_needs(run: Run, verb: str, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "a.csv", [["text", "label"], ["fine", "good"]])
    first = "model" if verb == "evaluate" else "text-classification"
    done = run(verb, first, "--data", str(data))
    assert done.code == cli.COULD_NOT
    assert done.out == ""
    assert done.err.startswith("error: this needs ")
    assert "\n\nhint: pip install 'silmu[" in done.err
