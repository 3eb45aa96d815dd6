"""Models by hub id: what is fetched, what is asked, and what is said when it cannot be had.

The hub is a small server on this machine; every test that may speak to it says so, and in all
others a packet is an error.
"""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import silmu
from silmu.errors import (
    ModelError,
    ModelNameError,
    ModelNotFoundError,
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime import hub

MODELS = Path(__file__).parent / "models"
SEQUENCE = MODELS / "bert-sequence"
TOKEN = "hf_not-a-real-token"
HEAD = sha1(b"head").hexdigest()
OLDER = sha1(b"older").hexdigest()
USED = sorted(path.name for path in SEQUENCE.iterdir())
PACKED = b'{"model_type": "llama", "quantization_config": {"quant_method": "gptq"}}'
local_hub = pytest.mark.allow_hosts(["127.0.0.1", "localhost"])


class Hub:
    """What the server shows: repositories as folders, and what was asked of it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.refuse: dict[str, tuple[int, str]] = {}
        self.moved: dict[str, str] = {}
        self.break_once: set[str] = set()
        self.revisions = {"main": HEAD, "v1": OLDER, "refs/pr/3": OLDER}

    def add(self, name: str, source: Path = SEQUENCE, **files: bytes) -> Path:
        folder = self.root / name
        shutil.copytree(source, folder)
        for file, content in files.items():
            (folder / file).write_bytes(content)
        return folder

    def got(self, name: str = "") -> list[str]:
        """The files that were downloaded, in order."""
        return [
            path.partition("/resolve/")[2].partition("/")[2]
            for method, path, _ in self.requests
            if method == "GET" and path.startswith(f"/{name}") and "/resolve/" in path
        ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, dict(self.headers)))
        is_api = path.startswith("/api/models/")
        rest = path.removeprefix("/api/models/").removeprefix("/")
        for mark in ("/resolve/", "/revision/", "/tree/"):
            name, found, tail = rest.partition(mark)
            if found:
                break
        if name in self.hub.moved:
            target = self.path.replace(name, self.hub.moved[name], 1)
            return self.reply(307, location=target)
        if name in self.hub.refuse and (not is_api or self.hub.refuse[name][1] != "GatedRepo"):
            status, code = self.hub.refuse[name]
            return self.reply(status, **{"X-Error-Code": code})
        folder = self.hub.root / name
        if not name or not folder.is_dir():
            return self.reply(404, **{"X-Error-Code": "RepoNotFound"})
        revisions = {**self.hub.revisions, HEAD: HEAD, OLDER: OLDER}
        revision = next((r for r in revisions if f"{tail}/".startswith(f"{r}/")), None)
        if tail and revision is None:
            return self.reply(404, **{"X-Error-Code": "RevisionNotFound"})
        commit = revisions[revision or "main"]
        files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
        if is_api and mark == "/tree/":
            return self.json(
                [
                    {
                        "type": "file",
                        "path": f,
                        "size": (folder / f).stat().st_size,
                        "oid": "0" * 40,
                    }
                    for f in files
                ]
            )
        if is_api:
            siblings = [{"rfilename": file} for file in files]
            return self.json({"id": name, "modelId": name, "sha": commit, "siblings": siblings})
        file = tail.removeprefix(revision or "").removeprefix("/")
        if file not in files:
            return self.reply(404, **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        return self.file(folder / file, commit)

    def json(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.reply(200, body, **{"Content-Type": "application/json"})

    def file(self, path: Path, commit: str) -> None:
        body = path.read_bytes()
        tag = f'"{sha1(body).hexdigest()}"'
        start = int(self.headers.get("Range", "bytes=0-").partition("=")[2].partition("-")[0])
        headers = {"ETag": tag, "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        broken = self.command == "GET" and path.name in self.hub.break_once
        self.hub.break_once.discard(path.name if broken else "")
        self.reply(206 if start else 200, body[start:], broken=broken, **headers)

    def reply(
        self, status: int, body: bytes = b"", *, broken: bool = False, **headers: str
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[: len(body) // 2] if broken else body)
        if broken:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and an environment that says nothing else."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    # Newer versions send along who runs them, from a list that they would fetch first.
    monkeypatch.setattr(constants, "AGENT_HARNESSES_PATH", str(tmp_path / "h.json"), raising=False)
    (tmp_path / "h.json").write_text('{"standardEnvVars": [], "harnesses": {}}')
    folder = tmp_path / "cache"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def server(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    shown = Hub(tmp_path / "hub")
    shown.root.mkdir()
    handler = type("Handler", (Handler,), {"hub": shown})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{listening.server_port}")
        yield shown
        listening.shutdown()
        thread.join()
    import huggingface_hub

    getattr(huggingface_hub, "close_session", lambda: None)()  # from 1.0 on


def fill(cache: Path, name: str, *, commit: str = HEAD, ref: str = "main", drop: str = "") -> Path:
    """A repository in the cache, as transformers leaves it: links into blobs."""
    repository = cache / f"models--{name.replace('/', '--')}"
    snapshot = repository / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir(exist_ok=True)
    for path in SEQUENCE.iterdir():
        if path.name != drop:
            shutil.copy(path, repository / "blobs" / f"of-{path.name}")
            (snapshot / path.name).symlink_to(f"../../blobs/of-{path.name}")
    (repository / "refs" / ref).parent.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / ref).write_text(commit)
    return snapshot


# ── what is fetched ────────────────────────────────────────────────────────────────────────────


@local_hub
def test_a_first_download_brings_exactly_what_is_used(server: Hub, cache: Path) -> None:
    unused = {"pytorch_model.bin": b"x", "README.md": b"x", "tf_model.h5": b"x", "run.py": b"x"}
    folder = server.add("org/model", **unused, **{"generation_config.json": b"{}"})
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"x")
    opened = hub.open_model("org/model")
    assert opened.listing() == sorted([*USED, "generation_config.json"])
    assert sorted(server.got()) == opened.listing()
    assert server.got()[-1] == "model.safetensors"
    assert opened.path == cache / "models--org--model" / "snapshots" / HEAD
    assert opened.name == "org/model"
    assert hub.used_files(opened)[-1] == "model.safetensors"


@local_hub
def test_a_second_open_sends_nothing_and_answers_the_same(
    server: Hub, request: pytest.FixtureRequest
) -> None:
    server.add("org/model")
    first = silmu.pipeline("text-classification", "org/model")("a fine film")
    asked = len(server.requests)
    second = silmu.pipeline("text-classification", "org/model")("a fine film")
    assert len(server.requests) == asked
    local = silmu.pipeline("text-classification", str(SEQUENCE))("a fine film")
    assert first == second == local


def test_a_full_cache_needs_no_socket(cache: Path) -> None:
    fill(cache, "org/model")
    answer = silmu.pipeline("text-classification", "org/model")("a fine film")
    assert answer == silmu.pipeline("text-classification", SEQUENCE)("a fine film")


def test_the_guard_against_sockets_is_real(cache: Path) -> None:
    with pytest.raises(UserWarning, match="A test tried to use socket"):
        hub.open_model("org/model")


def test_a_full_cache_needs_no_hub_library(cache: Path) -> None:
    fill(cache, "org/model")
    program = (
        "import sys; from silmu.runtime import hub; print(hub.open_model('org/model').path); "
        "assert 'huggingface_hub' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(HEAD)


@local_hub
def test_shards_are_fetched_by_their_index(server: Hub) -> None:
    sharded = MODELS / "bert-sharded"
    server.add("org/shards", sharded, **{"model-00009-of-00009.safetensors": b"not in the index"})
    opened = hub.open_model("org/shards")
    assert opened.listing() == sorted(path.name for path in sharded.iterdir())


@local_hub
def test_a_single_file_of_weights_is_preferred_to_shards(server: Hub) -> None:
    server.add("org/both", **{"model.safetensors.index.json": b'{"weight_map": {"a": "b"}}'})
    assert hub.open_model("org/both").listing() == USED


@local_hub
def test_an_index_that_leaves_the_repository_is_refused(server: Hub, cache: Path) -> None:
    folder = server.add("org/hostile")
    (folder / "model.safetensors").unlink()
    for name in ("../../../evil.safetensors", "/etc/passwd", "evil.py"):
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"a": name}})
        )
        shutil.rmtree(cache, ignore_errors=True)
        with pytest.raises(ModelError):
            hub.open_model("org/hostile")
        assert not any("evil" in path or "passwd" in path for _, path, _ in server.requests)


@local_hub
def test_a_repository_with_only_a_pickle_says_how_to_convert_it(server: Hub) -> None:
    folder = server.add("org/old", **{"pytorch_model.bin": b"x"})
    (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModelError, match=r"only as pytorch_model.bin") as caught:
        hub.open_model("org/old")
    assert "BertForSequenceClassification" in (caught.value.hint or "")
    assert "pytorch_model.bin" not in server.got()


@local_hub
def test_an_architecture_without_a_graph_is_refused_before_its_weights(server: Hub) -> None:
    server.add("org/other", **{"config.json": b'{"model_type": "unheard-of"}'})
    with pytest.raises(UnsupportedModelError, match="is a 'unheard-of', and silmu has graphs for"):
        hub.open_model("org/other")
    assert server.got()
    assert "model.safetensors" not in server.got()


@local_hub
@pytest.mark.parametrize(
    ("name", "files", "says"),
    [
        ("packed", {"config.json": PACKED}, "packed by GPTQ"),
        ("adapter", {"adapter_config.json": b"{}"}, "is an adapter"),
        ("gguf", {"model-Q4.gguf": b"GGUF"}, r"holds model-Q4.gguf, a format of llama.cpp"),
    ],
)
def test_weights_of_another_program_are_refused_before_they_are_fetched(
    server: Hub, name: str, files: dict[str, bytes], says: str
) -> None:
    folder = server.add(f"org/{name}", **files)
    if "config.json" not in files:
        (folder / "config.json").unlink()
        (folder / "model.safetensors").unlink()
    with pytest.raises(UnsupportedModelError, match=says):
        hub.open_model(f"org/{name}")
    assert not {"model.safetensors", "model-Q4.gguf"} & {*server.got()}


@local_hub
def test_a_tokenizer_is_fetched_without_the_weights_beside_it(server: Hub) -> None:
    server.add("org/tokenizer")
    classify = silmu.pipeline("text-classification", SEQUENCE, tokenizer="org/tokenizer")
    assert classify("a fine film")
    assert "model.safetensors" not in server.got()


@local_hub
def test_a_part_in_the_cache_is_completed(server: Hub, cache: Path) -> None:
    server.add("org/model")
    fill(cache, "org/model", drop="model.safetensors")
    assert hub.open_model("org/model").listing() == USED
    assert server.got() == ["model.safetensors"]


@local_hub
def test_a_link_without_its_blob_is_completed(server: Hub, cache: Path) -> None:
    server.add("org/model")
    snapshot = fill(cache, "org/model")
    (snapshot / "model.safetensors").resolve().unlink()
    opened = hub.open_model("org/model")
    assert opened.file("model.safetensors").stat().st_size > 0
    assert server.got() == ["model.safetensors"]


@local_hub
def test_a_broken_download_goes_on(server: Hub) -> None:
    server.add("org/model")
    server.break_once.add("model.safetensors")
    try:
        opened = hub.open_model("org/model")
    except ModelNotFoundError:  # before 1.0 the library leaves it to the next run
        opened = hub.open_model("org/model")
    assert (
        opened.file("model.safetensors").read_bytes()
        == (SEQUENCE / "model.safetensors").read_bytes()
    )
    assert server.got().count("model.safetensors") == 2


# ── revisions and names ────────────────────────────────────────────────────────────────────────


@local_hub
@pytest.mark.parametrize("revision", ["v1", "refs/pr/3", OLDER])
def test_a_revision_is_fetched_once_and_kept_by_its_name(server: Hub, revision: str) -> None:
    server.add("org/model")
    opened = hub.open_model("org/model", revision=revision)
    assert opened.path.name == OLDER
    asked = len(server.requests)
    assert hub.open_model("org/model", revision=revision).path == opened.path
    assert len(server.requests) == asked


def test_a_branch_in_the_cache_stays_as_it_was_fetched(cache: Path) -> None:
    fill(cache, "org/model", commit=OLDER)
    fill(cache, "org/model", commit=HEAD, ref="v2")
    assert hub.open_model("org/model").path.name == OLDER
    assert hub.open_model("org/model", revision="v2").path.name == HEAD
    assert hub.open_model("org/model", revision=HEAD).path.name == HEAD


@local_hub
def test_a_revision_that_is_not_there(server: Hub) -> None:
    server.add("org/model")
    with pytest.raises(ModelNotFoundError, match=r"has no revision `v9`") as caught:
        hub.open_model("org/model", revision="v9")
    assert "/org/model/tree/main" in (caught.value.hint or "")


@pytest.mark.parametrize("revision", ["../../../x", "/etc", "a/../../b", "", "a\\b", "a\0b"])
def test_a_revision_that_is_no_revision(cache: Path, revision: str) -> None:
    with pytest.raises(UsageError, match="revision is"):
        hub.open_model("org/model", revision=revision)


@pytest.mark.parametrize(
    ("cached", "asked"),
    [
        ("gpt2", "openai-community/gpt2"),
        ("openai-community/gpt2-medium", "gpt2-medium"),
        ("distilbert/distilbert-base-cased", "distilbert-base-cased"),
        ("bert-base-cased", "google-bert/bert-base-cased"),
        ("distilgpt2", "distilbert/distilgpt2"),
    ],
)
def test_a_name_from_before_organisations_finds_either(
    cache: Path, cached: str, asked: str
) -> None:
    fill(cache, cached)
    assert hub.open_model(asked).path.name == HEAD


@pytest.mark.parametrize(
    ("cached", "asked"),
    [("stranger/gpt2", "gpt2"), ("gpt2", "stranger/gpt2"), ("openai-community/gpt2", "me/gpt2")],
)
def test_a_name_of_someone_else_is_not_taken(cache: Path, cached: str, asked: str) -> None:
    fill(cache, cached)
    with pytest.raises(ModelNotFoundError):
        hub.open_model(asked, local_files_only=True)


@local_hub
def test_a_model_that_has_moved_is_fetched(server: Hub) -> None:
    server.add("openai-community/gpt2", MODELS / "gpt2-lm")
    server.moved["gpt2"] = "openai-community/gpt2"
    opened = hub.open_model("gpt2")
    assert "model.safetensors" in opened.listing()
    asked = len(server.requests)
    assert hub.open_model("gpt2").path == opened.path
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    "model",
    [
        "./nothing",
        "../nothing",
        "/nothing",
        "~/nothing",
        "~nobody-of-that-name/x",
        "a/b/c",
        "a\\b",
        "C:nothing",
        "a/b/",
    ],
)
def test_a_path_that_is_not_there(cache: Path, model: str) -> None:
    with pytest.raises(ModelNotFoundError, match="no such folder"):
        hub.open_model(model)


@pytest.mark.parametrize(
    "model",
    [
        *["한국어", "a--b", "a..b", "-a", "a.", "x.git", "org/"],
        "",
        "a\0b",
        "x" * 5000,
        "I loved it: warm",
    ],
)
def test_a_name_that_no_model_has(cache: Path, model: str) -> None:
    with pytest.raises(ModelNameError, match="neither a folder") as caught:
        hub.open_model(model)
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, ValueError)


def test_names_are_those_that_huggingface_hub_allows() -> None:
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    names = [
        "a",
        "_a",
        "a_",
        "a.b",
        "a-b/c.d_e",
        "a-",
        ".a",
        "a--b",
        "a/b--c",
        "a..b",
        "a.git",
        "a.git/b",
        "a/",
        "/a",
        "a/b/c",
    ]
    names += ["", "A" * 96, "A" * 97, "a" * 96 + "/" + "b" * 96]
    for name in names:
        try:
            validate_repo_id(name)
            allowed = True
        except HFValidationError:
            allowed = False
        matched = hub._ID.fullmatch(name)  # pyright: ignore[reportPrivateUsage]
        assert (matched is not None) is allowed, name


def test_a_folder_is_opened_as_it_is(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    shutil.copytree(SEQUENCE, tmp_path / "mine")
    for given in ("mine", "./mine", "~/mine", Path("mine"), str(tmp_path / "mine")):
        assert hub.open_model(given).has("config.json")
        assert hub.open_model(given).name == str(given)
    with pytest.raises(ModelNotFoundError):
        hub.open_model(Path("theirs"))


# ── no network ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_opens_what_is_there_and_asks_for_nothing_else(
    cache: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    fill(cache, "org/model")
    assert hub.open_model("org/model").listing() == USED
    with pytest.raises(ModelNotFoundError, match="HF_HUB_OFFLINE keeps from asking"):
        hub.open_model("org/other")


def test_local_files_only(cache: Path, tmp_path: Path) -> None:
    fill(tmp_path / "elsewhere", "org/model", drop="model.safetensors")
    with pytest.raises(ModelNotFoundError) as caught:
        hub.open_model("org/model", cache_dir=tmp_path / "elsewhere", local_files_only=True)
    assert str(caught.value) == (
        "`org/model` is not whole in the cache, which lacks model.safetensors; "
        "local_files_only=True keeps from asking the hub\n"
        "\n"
        "hint: where there is a network, run `silmu pull org/model --output model`; bring the "
        "folder here and give it as the model: pipeline(model='model')"
    )


def test_a_missing_shard_is_named(cache: Path) -> None:
    snapshot = fill(cache, "org/model", drop="model.safetensors")
    for path in (MODELS / "bert-sharded").glob("model*"):
        if "00002" not in path.name:
            shutil.copy(path, snapshot)
    with pytest.raises(ModelNotFoundError, match=r"lacks model-00002-of-00003.safetensors;"):
        hub.open_model("org/model", local_files_only=True)


def test_what_may_never_have_been_there_is_said_and_tried(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    snapshot = fill(cache, "org/model", drop="tokenizer.json")
    (snapshot / "vocab.txt").unlink()
    with caplog.at_level(logging.WARNING, "silmu"):
        classify = silmu.pipeline(
            "text-classification",
            "org/model",
            tokenizer=str(SEQUENCE),
            model_kwargs={"local_files_only": True},
        )
    assert classify("a fine film")
    assert "tokenizer.json" in caplog.text


def test_a_pickle_in_the_cache_says_how_to_convert_it(cache: Path) -> None:
    snapshot = fill(cache, "org/old", drop="model.safetensors")
    (snapshot / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(UnsupportedModelError, match=r"only as pytorch_model.bin"):
        silmu.pipeline("text-classification", "org/old", model_kwargs={"local_files_only": True})


@local_hub
def test_a_hub_that_refuses_connections(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(ModelNotFoundError, match="cannot be reached: Connection refused"):
            hub.open_model("org/model", revision="v1")


@local_hub
def test_a_proxy_that_refuses_connections(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("http_proxy", f"127.0.0.1:{unused.getsockname()[1]}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        with pytest.raises(ModelNotFoundError, match="cannot be reached"):
            hub.open_model("org/model")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        server.add("org/model")
        assert hub.open_model("org/model").listing() == USED


def test_a_hub_that_never_answers(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    asked = threading.Event()

    def hang(address: tuple[str, int], timeout: float) -> None:
        waited.append(timeout)
        asked.wait(60)

    monkeypatch.setattr(socket, "create_connection", hang)
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.05)
    with pytest.raises(ModelNotFoundError, match=r"did not answer within 0.05 s"):
        hub.open_model("org/model")
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.1")
    with pytest.raises(ModelNotFoundError, match=r"did not answer within 0.1 s"):
        hub.open_model("org/model")
    asked.set()
    assert waited == [0.05, 0.1]


def test_the_hub_is_given_less_than_a_second() -> None:
    assert hub.ANSWER_SECONDS < 1


# ── who may read it ────────────────────────────────────────────────────────────────────────────


@local_hub
@pytest.mark.parametrize(
    ("status", "code", "says", "advises"),
    [
        (403, "GatedRepo", "`org/model` is gated", "ask for access at http"),
        (401, "GatedRepo", "`org/model` is gated", "hf auth login"),
        (401, "RepoNotFound", "the hub has no model `org/model`, or it is private", "token=..."),
        (404, "RepoNotFound", "the hub has no model `org/model`", "check the spelling at http"),
        (403, "", "does not let this token, or no token, read `org/model`", "hf auth login"),
        (401, "", "does not let this token, or no token, read `org/model`", "hf auth login"),
        (400, "", "`org/model` could not be fetched", "run it again"),
        (501, "", "`org/model` could not be fetched", "run it again"),
    ],
)
def test_a_hub_that_says_no(server: Hub, status: int, code: str, says: str, advises: str) -> None:
    server.add("org/model")
    server.refuse["org/model"] = (status, code)
    with pytest.raises(ModelNotFoundError, match=says) as caught:
        hub.open_model("org/model", token=TOKEN)
    assert advises in (caught.value.hint or "")
    assert TOKEN not in str(caught.value)


@local_hub
def test_a_model_that_is_not_there(server: Hub) -> None:
    with pytest.raises(ModelNotFoundError, match="the hub has no model `org/model`"):
        hub.open_model("org/model")


@local_hub
def test_a_repository_that_holds_no_model(server: Hub) -> None:
    (server.root / "org/data").mkdir(parents=True)
    (server.root / "org/data/train.csv").write_text("a")
    with pytest.raises(ModelNotFoundError, match=r"has no config.json") as caught:
        hub.open_model("org/data")
    assert caught.value.hint == "it holds train.csv"
    assert server.got() == []


def sent(server: Hub, header: str) -> set[str]:
    pairs = (pair for *_, headers in server.requests for pair in headers.items())
    return {value for name, value in pairs if name.lower() == header}


@local_hub
@pytest.mark.parametrize("given", ["argument", "environment"])
def test_a_token_is_sent_and_never_shown(
    server: Hub,
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    cache: Path,
) -> None:
    server.add("org/model")
    if given == "environment":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    with caplog.at_level(logging.DEBUG):
        hub.open_model("org/model", token=TOKEN if given == "argument" else None)
    assert sent(server, "authorization") == {f"Bearer {TOKEN}"}
    shown = capfd.readouterr()
    assert TOKEN not in shown.out + shown.err + caplog.text
    assert not any(TOKEN.encode() in p.read_bytes() for p in cache.rglob("*") if p.is_file())


@local_hub
def test_no_token_is_sent_when_none_is_given(server: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("org/model")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.open_model("org/model", token=False)
    assert sent(server, "authorization") == set()


@local_hub
def test_a_token_that_is_not_stored(server: Hub) -> None:
    server.add("org/model")
    with pytest.raises(UsageError, match="no token is stored"):
        hub.open_model("org/model", token=True)


@pytest.mark.parametrize("token", ["", " ", f"{TOKEN}\n", f"{TOKEN}é"])
def test_a_token_that_no_header_takes_is_not_shown(cache: Path, token: str) -> None:
    with pytest.raises(UsageError) as caught:
        hub.open_model("org/model", token=token)
    assert TOKEN not in str(caught.value)


def test_the_cache_is_where_huggingface_hub_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")
    program = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    for chosen in ([], ["XDG_CACHE_HOME"], ["HF_HOME", "XDG_CACHE_HOME"], list(names[1:]), names):
        for name in names:
            monkeypatch.delenv(name, raising=False)
        for name in chosen:
            monkeypatch.setenv(name, str(tmp_path / name))
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert str(hub.cache_folder()) == done.stdout.strip()
