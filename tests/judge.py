"""Runs one hostile case in a process of its own and says what became of it.

A worker imports silmu once and forks a child for each case, so that a case takes milliseconds and
may crash, hang or eat memory without harm. What the child opens, connects to and starts is seen by
an audit hook; what libraries open by themselves, in the folder of canaries, by the kernel (inotify,
where there is one).
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

GOOD = ("ok", "typed error")
BAD = (
    *("untyped error", "timeout", "killed by a signal", "memory over budget"),
    *("forbidden open", "forbidden connect", "canary leaked"),
)
CANARY = "CANARY-6b1f2d"
"""What a file outside of the model folder holds; nothing may ever show it."""

SECONDS = 10.0
MEGABYTES = 512
CAN_FORK = hasattr(os, "fork")


@dataclass
class Verdict:
    """What became of a case."""

    outcome: str
    error: str = ""
    message: str = ""
    answer: Any = None
    seconds: float = 0.0
    megabytes: float = 0.0
    seen: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        told = f"{self.outcome} in {self.seconds:.2f} s and {self.megabytes:.0f} MB"
        return f"{told}: {self.error} {self.message} {self.seen}"


class Judge:
    """A worker to which cases are put one by one."""

    def __enter__(self) -> Judge:
        self._worker = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                **{"RUST_BACKTRACE": "0", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            },
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.close()
        self._worker.wait(30)
        self._worker.stdout.close()

    def __call__(
        self,
        function: str,
        /,
        *,
        folder: Path | None = None,
        outside: Path | None = None,
        seconds: float = SECONDS,
        megabytes: int = MEGABYTES,
        **arguments: Any,
    ) -> Verdict:
        """Calls `module:function` with arguments that JSON can hold, and the folder.

        `folder` is the model folder, in which it may read; `outside` holds the canaries.
        """
        case = {
            "function": function,
            "arguments": {**arguments, **({"folder": str(folder)} if folder else {})},
            "folder": str(folder or ""),
            "outside": str(outside or ""),
            "seconds": seconds,
            "megabytes": megabytes,
        }
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        self._worker.stdin.write(json.dumps(case) + "\n")
        self._worker.stdin.flush()
        return Verdict(**json.loads(self._worker.stdout.readline()))


def answer(task: str, folder: str, inputs: Any, parameters: dict[str, Any] | None = None) -> Any:
    """The case of most tests: open a folder, and answer once."""
    import silmu

    return silmu.pipeline(task, model=folder)(inputs, **(parameters or {}))


# In the worker.


def _serve() -> None:
    # What every case needs is imported once; what these import lazily is imported here too.
    for name in (
        *("silmu.pipelines", "silmu.graphs._builder", "silmu.graphs._config"),
        *("silmu.runtime.sandbox", "safetensors"),
        *("silmu.pipelines.text_classification", "silmu.pipelines.question_answering"),
        *("silmu.pipelines.feature_extraction", "silmu.pipelines.text_generation"),
        *("jinja2.sandbox", "silmu.graphs.bert", "silmu.graphs.gpt2", "malformed", "planted"),
        "malformed_pictures",
    ):
        importlib.import_module(name)
    for line in sys.stdin:
        print(json.dumps(asdict(_try(json.loads(line)))), flush=True)


def _try(case: dict[str, Any]) -> Verdict:
    watch = _Watch(case["outside"])
    reader, writer = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _run(case, writer)
    os.close(writer)
    told, late = b"", False
    while not late:
        left = start + case["seconds"] - time.monotonic()
        ready, _, _ = select.select([reader], [], [], max(0.0, left))
        late = not ready
        if ready:
            piece = os.read(reader, 1 << 20)
            if not piece:
                break
            told += piece
    if late:
        os.kill(child, signal.SIGKILL)
    os.close(reader)
    _, status, usage = os.wait4(child, 0)
    lines = [json.loads(line) for line in told.split(b"\n") if line.endswith(b"}")]
    verdict = Verdict("killed by a signal")
    started = next((line["peak"] for line in lines if "peak" in line), 0)
    ended = next((line for line in lines if "outcome" in line), None)
    if late:
        verdict.outcome = "timeout"
    elif os.WIFSIGNALED(status):
        verdict.message = signal.Signals(os.WTERMSIG(status)).name
    elif ended:
        verdict = Verdict(**ended)
    else:
        verdict = Verdict("untyped error", message=f"it ended by itself, with {status}")
    verdict.seconds = time.monotonic() - start
    unit = 1 << 20 if sys.platform == "darwin" else 1024
    verdict.megabytes = (usage.ru_maxrss - started) / unit
    verdict.seen += [line["seen"] for line in lines if "seen" in line] + watch.events()
    if verdict.outcome in GOOD:
        if verdict.megabytes > case["megabytes"]:
            verdict.outcome = "memory over budget"
        elif any(what.startswith("connect") for what in verdict.seen):
            verdict.outcome = "forbidden connect"
        elif CANARY in json.dumps([verdict.answer, verdict.message]) or watch.has_changed():
            verdict.outcome = "canary leaked"
        elif verdict.seen:
            verdict.outcome = "forbidden open"
    return verdict


class _Watch:
    """The folder of canaries: what is in it, and who touches it."""

    OPEN = 0x20

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.before = self._listing()
        self.handle = -1
        if folder and sys.platform == "linux":
            libc = ctypes.CDLL(None, use_errno=True)
            self.handle = libc.inotify_init1(os.O_NONBLOCK)
            libc.inotify_add_watch(self.handle, os.fsencode(folder), self.OPEN)

    def _listing(self) -> list[str]:
        return sorted(path.name for path in Path(self.folder).iterdir()) if self.folder else []

    def events(self) -> list[str]:
        if self.handle < 0:
            return []
        try:
            found = os.read(self.handle, 1 << 16)
        except BlockingIOError:
            found = b""
        os.close(self.handle)
        return ["open of a canary"] if found else []

    def has_changed(self) -> bool:
        return self._listing() != self.before


# In the child.


def _run(case: dict[str, Any], writer: int) -> None:
    import resource

    def tell(**what: Any) -> None:
        os.write(writer, json.dumps(what).encode() + b"\n")

    tell(peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        room = pages * resource.getpagesize() + (case["megabytes"] + 2048 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
    cpu = int(case["seconds"]) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    module, _, name = case["function"].partition(":")
    function = getattr(importlib.import_module(module), name)
    sys.addaudithook(_hook(case["folder"], tell))
    outcome: dict[str, Any]
    try:
        found = function(**case["arguments"])
        outcome = {"outcome": "ok", "answer": _plain(found)}
    except MemoryError as error:
        outcome = {"outcome": "memory over budget", "message": str(error)}
    except BaseException as error:
        from silmu.errors import SilmuError

        kind = "typed error" if isinstance(error, SilmuError) else "untyped error"
        outcome = {"outcome": kind, "error": type(error).__name__, "message": str(error)[:4000]}
    for name, loaded in list(sys.modules.items()):
        if case["folder"] and _inside(getattr(loaded, "__file__", None) or "", [case["folder"]]):
            tell(seen=f"import of {name}")
    tell(**outcome)
    os._exit(0)


def _hook(folder: str, tell: Any) -> Any:
    cache = [os.path.realpath(os.environ["SILMU_CACHE"])]
    readable = [
        *cache,
        *(os.path.realpath(path) for path in [*sysconfig.get_paths().values(), sys.base_prefix]),
        *(os.path.realpath(path) for path in sys.path if path),
        *_BASICS,
    ]
    if folder:
        readable.append(os.path.realpath(folder))
    busy = threading.local()

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if not isinstance(path, str | bytes | os.PathLike):
                return
            real = os.path.realpath(os.fsdecode(path))
            writes = flags & (os.O_WRONLY | os.O_RDWR) if isinstance(flags, int) else "w" in mode
            # Python looks for the source of a template that it cannot compile.
            known = _PROCESS.fullmatch(real) or real.endswith(("/null", "/<template>"))
            if not known and not _inside(real, cache if writes else readable):
                tell(seen=f"open of {real}{' for writing' if writes else ''}")
        elif event in ("socket.connect", "socket.getaddrinfo", "socket.sendto"):
            tell(seen=f"connect: {event} {arguments[1:]!r:.80}")
            raise PermissionError("no network here")
        elif event in _NEVER:
            tell(seen=f"{event} {arguments!r:.80}")

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if not getattr(busy, "now", False):
            busy.now = True
            try:
                look(event, arguments)
            finally:
                busy.now = False

    return hook


# What the interpreter and the engine read of the machine, whatever they run.
_BASICS = (
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/sys/kernel/random/boot_id", "/sys/devices/system"),
    *("/sys/fs/cgroup", "/dev/null", "/dev/urandom", "/etc/localtime", "/usr/lib"),
)
_PROCESS = re.compile(r"/proc/\d+/(?:stat|status|maps)")
_NEVER = (
    *("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"),
    *("pickle.find_class", "os.symlink", "os.link", "os.chmod"),
)


def _inside(path: str, roots: list[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip(os.sep) + os.sep) for root in roots)


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | None) else repr(value)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    import judge

    judge._serve()
