"""Opens a model by folder or hub id; the hub is asked only for what its cache does not hold.

The cache is the one that transformers fills and reads: `models--org--name`, in which
`refs/<revision>` names a commit and `snapshots/<commit>` holds its files. What is whole there is
opened without huggingface_hub, which would cost a start 0.2 s, and without a packet.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterable
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any, NoReturn, cast

from silmu import registry, store
from silmu.errors import (
    ModelNameError,
    ModelNotFoundError,
    SilmuError,
    UnsupportedModelError,
    UsageError,
)
from silmu.runtime import exported, foreign, genai, packages, weights
from silmu.runtime.exported import Wanted
from silmu.runtime.folder import Folder

if TYPE_CHECKING:
    from collections.abc import Collection

logger = logging.getLogger("silmu")

PIECES = (
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
    "tokenizer_78b3253a26.model",
)
"""SentencePiece models, which are used where there is no tokenizer.json."""

READERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    *PIECES,
    "preprocessor_config.json",
    "processor_config.json",
    "processor.json",
)
"""What turns raw inputs into arrays; a model needs one of them."""

FILES = (
    "config.json",
    genai.FILE,
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "merges.txt",
    "chat_template.jinja",
    "processor.safetensors",
    "schema.json",
    *READERS,
)
"""The files of a model that are used, beside its weights."""

ANSWER_SECONDS = 0.8
"""How long the hub may take to accept a connection; HF_HUB_ETAG_TIMEOUT says otherwise."""

_PART = r"(?![.-])[A-Za-z0-9_.-]{1,96}(?<![.-])"
_ID = re.compile(rf"(?!.*(?:--|\.\.))(?:{_PART}/)?{_PART}(?<!\.git)")
_REVISION = re.compile(r"(?!/)(?!.*(?:\.\.|//|\\|\0)).+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Names from before the hub had organisations, which it still redirects.
_OLD_HOMES = {
    "bert": "google-bert",
    "distilbert": "distilbert",
    "distilgpt2": "distilbert",
    "gpt2": "openai-community",
}


def open_model(
    model: str | Path,
    *,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    with_weights: bool = True,
    wanted: Wanted | None = None,
) -> Folder:
    """The folder of a model, fetched from the hub if neither a folder nor the cache holds it.

    >>> open_model("distilbert/distilbert-base-uncased").path            # doctest: +SKIP
    PosixPath('/home/me/.cache/huggingface/hub/models--distilbert--distilbert-...')

    Args:
        model: a folder; a hub id: `org/name`, or a name without an org such as `gpt2`; or
            `package:NAME/path`, a folder that an installed package ships.
        revision: a branch, tag or commit, or `refs/pr/<n>`; the branch `main`, if not given. A
            branch that the cache holds is opened as it was when it was fetched.
        token: as `huggingface_hub` takes it; True for the one that is stored.
        cache_dir: the cache to use in place of HF_HUB_CACHE.
        local_files_only: never ask the hub; HF_HUB_OFFLINE says so for all models.
        with_weights: whether weights are needed, or only the files that read inputs.
        wanted: which ONNX graph, where the model has any.

    Raises:
        ModelNotFoundError: it is not here, and not to be had; the hint says how to bring it.
        ModelNameError: it is neither a folder nor the id of a model.
        UnsupportedModelError: its weights are there only in a format that can run code.
    """
    if isinstance(model, str) and model.startswith(packages.PREFIX):
        return Folder(packages.locate(model), model)
    path = os.path.expanduser(model)  # noqa: PTH111 - pathlib raises on odd names
    if isinstance(model, Path) or os.path.isdir(path):  # noqa: PTH112
        return Folder(Path(path), str(model))
    if _looks_like_path(model):
        raise ModelNotFoundError(
            f"no such folder: `{model}`",
            hint="give the folder that holds config.json, or the id of a model on the hub",
        )
    _check(model, revision, token)
    cache = Path(cache_dir).expanduser() if cache_dir else cache_folder()
    folder = _cached(cache, model, revision or "main")
    wanted = wanted or Wanted()
    missing = _missing(folder, with_weights, wanted)
    if folder is not None and not missing:
        return folder
    reason = _unreachable(local_files_only)
    if reason is None:
        return _fetch(cache, model, revision or "main", token, with_weights, wanted)
    if folder is not None and _can_be_tried(folder, missing):
        logger.warning("%s; `%s` is opened as the cache has it: %s", reason, model, missing)
        return folder
    named = f" --revision {revision}" if revision else ""
    at = f" at `{revision}`" if revision else ""
    target = model.rpartition("/")[2]
    raise ModelNotFoundError(
        f"`{model}`{at} is not whole in the cache, which lacks {', '.join(missing)}; {reason}",
        hint=f"where there is a network, run `silmu pull {model}{named} --output {target}`; bring "
        f"the folder here and give it as the model: pipeline(model={target!r})",
    )


def cache_folder() -> Path:
    """Where the hub's files are kept: HF_HUB_CACHE, or `hub` in HF_HOME or the user's cache."""
    get = os.environ.get
    home = get("HF_HOME") or str(
        Path(get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    given = get("HF_HUB_CACHE") or get("HUGGINGFACE_HUB_CACHE") or str(Path(home) / "hub")
    return Path(os.path.expandvars(given)).expanduser()


def is_offline() -> bool:
    """Whether HF_HUB_OFFLINE, or its older name, forbids to ask the hub."""
    given = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return given.upper() in ("1", "ON", "YES", "TRUE")


def used_files(folder: Folder) -> list[str]:
    """The names of the files of a folder that silmu uses, weights last.

    Raises:
        ModelNotFoundError, UnsupportedModelError: it has no weights, or none that can be read.
    """
    names = _used({name for name in FILES if folder.has(name)})
    if (found := exported.find(folder)) is not None:
        inner = [f"{found.layout.folder}/{name}" for name in FILES] if found.layout.folder else []
        return [*names, *filter(folder.has, inner), *found.files]
    index = [weights.INDEX] if folder.has(weights.INDEX) and not folder.has(weights.SINGLE) else []
    return [*names, *index, *weights.files(folder)]


def _used(there: Collection[str]) -> list[str]:
    """The files that are used, weights aside, of those that are there."""
    unused = PIECES if "tokenizer.json" in there else ()
    return [name for name in FILES if name in there and name not in unused]


# ── what the caller gave ───────────────────────────────────────────────────────────────────────


def _looks_like_path(model: str) -> bool:
    odd = "\\" in model or model.count("/") > 1 or PureWindowsPath(model).drive
    return bool(odd) or model.startswith((".", "/", "~"))


def _check(model: str, revision: str | None, token: str | bool | None) -> None:
    if not _ID.fullmatch(model):
        raise ModelNameError(
            f"`{model}` is neither a folder here nor the id of a model: ids are `name` or "
            "`org/name`, of letters, digits, `-`, `_` and `.`, at most 96 each",
            hint="check the spelling; a folder can be given as `./name`",
        )
    if revision is not None and not _REVISION.fullmatch(revision):
        raise UsageError(
            f"revision is {revision!r}; it must be a branch, a tag, a commit or `refs/pr/<n>`"
        )
    # The HTTP client would show a header that it refuses, and with it the token.
    if isinstance(token, str) and not (token.isascii() and token.isprintable() and token.strip()):
        raise UsageError("the token is empty or holds characters that no token has")


# ── what the cache has ─────────────────────────────────────────────────────────────────────────


def _cached(cache: Path, model: str, revision: str) -> Folder | None:
    """The snapshot of a revision, whole or not, under any name that the model goes by."""
    for name in _names(model):
        repository = cache / f"models--{name.replace('/', '--')}"
        commit = revision
        if not _COMMIT.fullmatch(revision):
            try:
                commit = (repository / "refs" / revision).read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
        snapshot = repository / "snapshots" / commit
        if _COMMIT.fullmatch(commit) and snapshot.is_dir():
            return Folder(snapshot, model)
    return None


def _names(model: str) -> list[str]:
    org, _, name = model.rpartition("/")
    home = _OLD_HOMES.get(name.partition("-")[0])
    if home and org in ("", home):
        return [model, f"{home}/{name}" if not org else name]
    return [model]


def _missing(folder: Folder | None, with_weights: bool, wanted: Wanted) -> list[str]:
    """The least that a model needs and a snapshot lacks. A link without its blob is not there."""
    if folder is None:
        return ["config.json", weights.SINGLE, READERS[0]] if with_weights else [READERS[0]]
    missing: list[str] = []
    try:
        graphs = exported.find(folder, wanted) if with_weights else None
        if graphs is not None:
            folder = graphs.folder
            missing = [name for name in graphs.layout.files if not _is_there(folder, name)]
            missing = missing or [name for name in graphs.files if not _is_there(folder, name)]
    except (ModelNotFoundError, UnsupportedModelError):
        return [wanted.file_name or f"a graph in {wanted.dtype or 'fp32'}"]
    if with_weights and graphs is None:
        tensors = [name for name in (weights.SINGLE, weights.INDEX) if _is_there(folder, name)]
        needed = weights.files(folder) if tensors else [weights.SINGLE]
        missing = [name for name in ("config.json", *needed) if not _is_there(folder, name)]
    if not any(_is_there(folder, name) for name in READERS):
        missing.append(READERS[0])
    return missing


def _is_there(folder: Folder, name: str) -> bool:
    return folder.has(name) and folder.place(name).exists()


def _can_be_tried(folder: Folder, missing: list[str]) -> bool:
    """Whether what a snapshot lacks may never have been there.

    That is what reads the inputs, which may come from elsewhere; and weights, if the repository
    has them in another format, of which the reader of weights can tell more.
    """
    legacy = any(_is_there(folder, name) for name in weights.LEGACY)
    return not {*missing} - {READERS[0], *((weights.SINGLE,) if legacy else ())}


# ── what the hub has ───────────────────────────────────────────────────────────────────────────


def _unreachable(local_files_only: bool) -> str | None:
    """Why the hub cannot be asked; None if it can.

    huggingface_hub finds out by itself, but only after time-outs and retries.
    """
    if local_files_only:
        return "local_files_only=True keeps from asking the hub"
    if is_offline():
        return "HF_HUB_OFFLINE keeps from asking the hub"
    import socket  # here, so that a start that asks nobody does without

    address = endpoint()
    host, port, wait = *_first_hop(address), float(os.environ.get("HF_HUB_ETAG_TIMEOUT") or 0)
    failures: list[Exception | None] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=wait or ANSWER_SECONDS).close()
            failures.append(None)
        except Exception as error:
            failures.append(error)

    # In a thread, because the search for an address has a time-out of its own, and a long one.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(wait or ANSWER_SECONDS)
    failure = failures[0] if failures else TimeoutError("timed out")
    if isinstance(failure, TimeoutError):
        return (
            f"{address} did not answer within {wait or ANSWER_SECONDS:g} s "
            "(HF_HUB_ETAG_TIMEOUT sets how long to wait)"
        )
    if isinstance(failure, OSError):
        return f"{address} cannot be reached: {failure.strerror or failure}"
    if failure is not None:
        raise failure
    return None


def endpoint() -> str:
    """The address of the hub: HF_ENDPOINT, or huggingface.co."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _first_hop(address: str) -> tuple[str, int]:
    """The host and port to which the first connection goes: the hub's, or a proxy's."""
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    url = urlsplit(address)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not proxy_bypass(url.hostname or ""):
        url = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return url.hostname or "", url.port or (80 if url.scheme == "http" else 443)


def _fetch(
    cache: Path,
    model: str,
    revision: str,
    token: str | bool | None,
    with_weights: bool,
    wanted: Wanted,
) -> Folder:
    """Brings the used files of a revision into the cache, the weights last.

    That order is what lets a snapshot that has its weights be taken for whole.
    """
    from huggingface_hub import (
        HfApi,
        snapshot_download,  # pyright: ignore[reportUnknownVariableType]
    )

    address = endpoint()
    repository = cache / f"models--{model.replace('/', '--')}"

    def bring(names: Iterable[str]) -> None:
        patterns = [re.sub(r"([*?[])", r"[\1]", name) for name in names]
        snapshot_download(
            model,
            revision=commit,
            cache_dir=cache,
            token=token,
            endpoint=address,
            allow_patterns=patterns,
            library_name="silmu",
        )

    try:
        info = HfApi(endpoint=address).model_info(model, revision=revision, token=token, timeout=10)
        commit = cast("str", info.sha)
        listed = [file.rfilename for file in info.siblings or []]
        inner = wanted.subfolder or exported.SUBFOLDER
        configs = ("config.json", genai.FILE, f"{inner}/config.json", f"{inner}/{genai.FILE}")
        if with_weights and not {*configs} & {*listed}:
            foreign.refuse_files(model, listed)
            raise ModelNotFoundError(
                f"`{model}` on the hub has no config.json",
                hint=f"it holds {', '.join(listed[:12]) or 'nothing'}",
            )
        single = weights.SINGLE in listed
        inside = [f"{wanted.subfolder}/{name}" for name in FILES] if wanted.subfolder else []
        names = (*_used(listed), *inside, *([] if single else [weights.INDEX]))
        bring(name for name in names if name in listed)
        folder = Folder(repository / "snapshots" / commit, model)
        layout = exported.pick(folder, listed, wanted) if with_weights else None
        if layout is not None:
            inside = [f"{layout.folder}/{name}" for name in FILES] if layout.folder else []
            bring(name for name in (*inside, *layout.files) if name in listed)
            graphs = exported.Exported(folder, layout).files
            bring(name for name in graphs if name in listed)
            if lost := [name for name in graphs if not _is_there(folder, name)]:
                raise ModelNotFoundError(f"`{model}` on the hub lacks {', '.join(lost)}")
        elif with_weights:
            legacy = next((name for name in weights.LEGACY if name in listed), None)
            if not single and weights.INDEX not in listed and legacy:
                raise weights.legacy_error(folder, legacy)
            if not single and weights.INDEX not in listed:
                foreign.refuse_files(model, listed)
            if (model_type := folder.config["model_type"]) not in registry.model_types():
                raise registry.no_graph(model, model_type)  # before gigabytes are brought
            foreign.refuse_packer(model, folder.config)
            tensors = [weights.SINGLE] if single else weights.files(folder)
            bring(name for name in tensors if name in listed)
            if lost := [name for name in tensors if not _is_there(folder, name)]:
                raise ModelNotFoundError(f"`{model}` on the hub lacks {', '.join(lost)}")
    except SilmuError:
        raise
    except Exception as error:
        _explain(error, model, revision)
    if commit != revision:
        store.write_file(repository / "refs" / revision, commit.encode())
    return folder


def _explain(error: Exception, model: str, revision: str) -> NoReturn:
    """Raises what went wrong with the hub in our own words, and anything else as it is."""
    from huggingface_hub import errors as hub

    login = "log in with `hf auth login`, or give a token: pipeline(..., token=...)"
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if isinstance(error, hub.LocalTokenNotFoundError):
        raise UsageError("token=True, and no token is stored", hint=login) from error
    if isinstance(error, hub.GatedRepoError):
        raise ModelNotFoundError(
            f"`{model}` is gated: its owner must let you in",
            hint=f"ask for access at {endpoint()}/{model}; then {login}",
        ) from error
    if isinstance(error, hub.RevisionNotFoundError):
        raise ModelNotFoundError(
            f"`{model}` has no revision `{revision}`",
            hint=f"{endpoint()}/{model}/tree/main lists its branches and tags",
        ) from error
    if status in (401, 403) and not isinstance(error, hub.RepositoryNotFoundError):
        raise ModelNotFoundError(
            f"the hub does not let this token, or no token, read `{model}` (HTTP {status})",
            hint=login,
        ) from error
    if isinstance(error, hub.RepositoryNotFoundError):
        raise ModelNotFoundError(
            f"the hub has no model `{model}`, or it is private",
            hint=f"check the spelling at {endpoint()}/models?search={model.rpartition('/')[2]}; "
            f"for a private one {login}",
        ) from error
    networks = ("httpx", "httpx2", "httpcore", "requests", "urllib3", "huggingface_hub")
    if isinstance(error, OSError) or type(error).__module__.partition(".")[0] in networks:
        told = str(error.__cause__ or error)
        raise ModelNotFoundError(
            f"`{model}` could not be fetched: {told.strip() or type(error).__name__}",
            hint="check the network, and run it again: files that are whole are kept",
        ) from error
    raise error
