"""The one writer: whatever silmu leaves on a disk is there whole, or not there.

A folder is written beside its target under a `.tmp-` name, flushed, sealed by a manifest of sizes
and SHA-256 that is written last, and renamed to a name that never existed. A file is written beside
its target and renamed over it. A pointer file such as `LATEST` names the newest folder; a reader
that cannot trust the pointer takes the newest folder whose manifest verifies.

    lock(run), reserve(run, n)
    new_folder(run/"step-2"), write_pointer(run, "LATEST", "step-2"), remove(run/"step-1")

No other module opens files for writing, so a fault can be planted at every operation there is:
`SILMU_FAILPOINT=<site>:<n>:<action>` strikes at the n-th operation of a site (`*` for all of SITES;
`<n>+` strikes at every one from the n-th on). Actions are `kill`, `short` (half of a write) and the
names of errors: ENOSPC, EIO, EDQUOT, EMFILE, EACCES.
"""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import stat
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, final

from silmu.errors import CorruptError, LockedError, SilmuError, StoreError, UsageError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

MANIFEST = "MANIFEST.json"
LOCK = ".silmu.lock"
FORMAT = 1
SITES = {
    "mkdir": "make the folder",
    "create": "create",
    "write": "write",
    "fsync": "flush",
    "rename": "rename",
    "fsync_dir": "flush the folder",
    "unlink": "delete",
    "rmdir": "delete the folder",
    "lock": "lock",
}

_TEMPORARY = ".tmp-"
_UNKNOWN = "unknown"
_PROC = Path("/proc")
_CHUNK = 16 << 20
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_FLAGS = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_CLOEXEC", "O_BINARY"))
# Virus scanners hold fresh files open for a moment, and Windows then refuses to rename them.
_RENAME_PAUSES = (0.01, 0.05, 0.2, 1.0) if sys.platform == "win32" else ()
_CLAIM_ATTEMPTS = 50
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_FLOCK = {getattr(errno, name, None) for name in ("ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOLCK")}

StrPath = str | os.PathLike[str]


# ── folders ────────────────────────────────────────────────────────────────────────────────────


@final
class FolderWriter:
    """What `new_folder` hands out: places for the files of a folder that is not yet there."""

    def __init__(self, folder: Path, meta: Mapping[str, object]) -> None:
        self.folder = folder
        self.meta = dict(meta)
        self._names: dict[str, str] = {}

    def path(self, name: str) -> Path:
        """Where a library that writes files itself may write this one.

        Folders in the name are made. A name that another system would read differently is refused.
        """
        import unicodedata

        if not _portable(name):
            raise StoreError(f"{name!r} is not a name for a file inside a folder")
        # A folder copied to a Mac or to Windows would keep only one of `A.txt` and `a.txt`.
        for part in accumulate(name.split("/"), "{}/{}".format):
            twin = self._names.setdefault(unicodedata.normalize("NFC", part).casefold(), part)
            if twin != part:
                raise StoreError(f"{part!r} and {twin!r} are one name on some systems")
        path = self.folder / name
        _make_folder(path.parent)
        return path

    def write(self, name: str, data: bytes) -> None:
        """Write one file, which must be new."""
        _create(self.path(name), data)

    @contextmanager
    def open(self, name: str) -> Generator[BinaryIO]:
        """A new file to write to piece by piece."""
        path = self.path(name)
        with _operation("create", path):
            handle = os.open(path, _NEW_FILE | _FLAGS, 0o666)
        with os.fdopen(handle, "wb") as file:
            yield file

    def copy(self, source: Path, name: str) -> None:
        """Copy a file into the folder."""
        import shutil

        with source.open("rb") as old, self.open(name) as new:
            shutil.copyfileobj(old, new, _CHUNK)

    def discard(self, name: str) -> None:
        """Take back a file of this folder that was needed only on the way."""
        _delete(self.path(name))


@contextmanager
def new_folder(
    target: StrPath, *, meta: Mapping[str, object] | None = None, exist_ok: bool = False
) -> Generator[FolderWriter]:
    """Write a folder that appears whole, or not at all.

    >>> with new_folder("model", meta={"task": "text-classification"}) as writer:
    ...     writer.write("config.json", b"{}")
    >>> sorted(path.name for path in Path("model").iterdir())
    ['MANIFEST.json', 'config.json']

    Args:
        target: must not exist; its parent is made.
        meta: goes into the manifest as JSON; `writer.meta` may be added to until the end.
        exist_ok: if the target is there, even by another process a moment ago, drop this work:
            for caches, whose names say what is in them.
    """
    target = Path(target).absolute()
    taken = StoreError(
        f"{_show(target)} is already there", hint="choose another name, or remove it"
    )
    if not exist_ok and _exists(target):
        raise taken
    _manifest_bytes(meta or {}, {})
    _make_folder(target.parent)
    with _temporary(target) as folder:
        _make_folder(folder)
        writer = FolderWriter(folder, meta or {})
        try:
            yield writer
        except SilmuError:
            raise
        except OSError as error:
            # A library that writes by itself fails in its own words; a full disk is ours to tell.
            if error.errno in _FULL or str(folder) in str(error.filename):
                raise _failure("write", folder, error) from error
            raise
        _seal(folder, writer.meta)
        try:
            _rename(folder, target)
        except StoreError as error:
            if not _exists(target):
                raise
            if not exist_ok:
                raise taken from error
            verify(target, quick=True)
        else:
            _fsync_folder(target.parent)


def _seal(folder: Path, meta: Mapping[str, object]) -> None:
    files: dict[str, FileRecord] = {}
    folders: list[Path] = []
    for path, is_folder in _tree(folder):
        name = path.relative_to(folder).as_posix()
        if is_folder:
            folders.append(path)
        elif _portable(name):
            files[name] = _record(path)
            _fsync_file(path, files[name].size)
        else:
            raise StoreError(f"{_show(path)} has a name that a sealed folder cannot hold")
    _create(folder / MANIFEST, _manifest_bytes(meta, files))
    for path in [*folders, folder]:
        _fsync_folder(path)


def remove(folder: StrPath) -> None:
    """Delete a folder so that a kill half-way leaves nothing that looks whole.

    >>> with new_folder("old") as writer:
    ...     writer.write("a.txt", b"a")
    >>> remove("old")
    >>> Path("old").exists()
    False
    """
    folder = Path(folder).absolute()
    with _temporary(folder) as condemned:
        _rename(folder, condemned)
        # The new name must be on the disk before the contents go, or a power cut could bring
        # the old name back around half of them.
        _fsync_folder(folder.parent)
        _delete(condemned)


def reserve(folder: StrPath, num_bytes: int) -> None:
    """Refuse before a long job what would fail at its end for want of space.

    >>> reserve("runs", 1000)
    """
    import shutil

    path = Path(folder).absolute()
    with _explained("look at", path):
        free = shutil.disk_usage(_standing(path)).free
    if free < num_bytes:
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise _failure("reserve space in", path, full, num_bytes)


# ── files and pointers ─────────────────────────────────────────────────────────────────────────


def write_file(path: StrPath, data: bytes) -> None:
    """Replace a small file: whoever reads it sees the old content or the new.

    >>> write_file("run.toml", b"seed = 1")
    >>> Path("run.toml").read_bytes()
    b'seed = 1'
    """
    path = Path(path).absolute()
    # Settings may hold a password; who made them private wants them to stay so.
    with _explained("look at", path):
        mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o666
    _make_folder(path.parent)
    with _temporary(path) as temporary:
        _create(temporary, data, mode)
        _rename(temporary, path, replace=True)
        _fsync_folder(path.parent)


def write_pointer(folder: StrPath, name: str, target: str) -> None:
    """Let the file `name` of a folder point to the sealed folder `target` beside it.

    >>> with new_folder("run/step-1") as writer:
    ...     writer.write("weights", b"1")
    >>> write_pointer("run", "LATEST", "step-1")
    >>> read_pointer("run").name
    'step-1'
    """
    folder = Path(folder)
    if not _portable(target) or "/" in target:
        raise UsageError(f"{target!r} is not the name of a folder in {_show(folder)}")
    verify(folder / target, quick=True, extra=None)
    write_file(folder / name, _pointer_bytes(folder, target))


def read_pointer(
    folder: StrPath, name: str = "LATEST", *, quick: bool = False, extra: Sequence[str] | None = ()
) -> Path | None:
    """The folder that a pointer names, verified; None if nothing has been written yet.

    Where the pointer or its folder is broken, the newest sound folder is given, with a warning.
    Newest is by name, numbers in it compared as numbers: no clock is asked.
    """
    folder = Path(folder)
    pointer, content = folder / name, None
    reason = f"{_show(pointer)} is missing"
    # Once more if it changed meanwhile: a writer may have moved it on and removed what it named.
    while (now := _read_if_there(pointer)) not in (None, content):
        content = now
        try:
            return _pointed(pointer, now or b"", quick, extra)
        except CorruptError as error:
            reason = error.message
    inside = _children(folder) if _exists(folder) else []
    sealed = [path for path, _ in inside if path.name[0] != "." and _exists(path / MANIFEST)]
    for path in sorted(sealed, key=_by_numbers, reverse=True):
        with suppress(CorruptError):
            verify(path, quick=quick, extra=extra)
            warnings.warn(f"{reason}; using {_show(path)}, the newest that is sound", stacklevel=2)
            return path
    if content is None and not sealed:
        return None
    raise CorruptError(f"{reason}, and no folder beside it is sound")


def _pointed(pointer: Path, content: bytes, quick: bool, extra: Sequence[str] | None) -> Path:
    wrong = CorruptError(f"{_show(pointer)} is not as it was when written")
    try:
        name = json.loads(content)["folder"]
        if not _portable(name) or "/" in name:
            raise wrong
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise wrong from None
    folder = pointer.with_name(name)
    verify(folder, quick=quick, extra=extra)
    if content != _pointer_bytes(pointer.parent, name):
        raise wrong
    return folder


def _pointer_bytes(folder: Path, target: str) -> bytes:
    # The digest tells a pointer whose name was damaged into that of a neighbour.
    manifest = _record(folder / target / MANIFEST).sha256
    return json.dumps({"folder": target, "manifest": manifest}).encode() + b"\n"


def _by_numbers(path: Path) -> list[tuple[int, str]]:
    return [(int(digits or 0), text) for text, digits in re.findall(r"(\D*)(\d*)", path.name)]


# ── manifests ──────────────────────────────────────────────────────────────────────────────────


class FileRecord(NamedTuple):
    """What a manifest knows of one file."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """What was written into a folder."""

    meta: Mapping[str, Any]
    files: Mapping[str, FileRecord]


def verify(folder: StrPath, *, quick: bool = False, extra: Sequence[str] | None = ()) -> Manifest:
    """Check that a folder is what was written; CorruptError names the file and both values.

    >>> with new_folder("sound", meta={"step": 3}) as writer:
    ...     writer.write("weights", b"abc")
    >>> verify("sound").meta["step"]
    3

    Args:
        folder: one that `new_folder` wrote, wherever it has been copied to since.
        quick: sizes only.
        extra: files, or folders of files, that may be there besides; None allows any.
    """
    folder = Path(folder)
    try:
        manifest = _read_manifest(folder / MANIFEST)
        for name, written in manifest.files.items():
            found = _record(folder / name, quick)
            if found.size != written.size:
                values = f"{found.size:,} bytes; {written.size:,} were written"
                raise CorruptError(f"{_show(folder / name)} has {values}")
            if not quick and found != written:
                values = f"SHA-256 {found.sha256}; {written.sha256} was written"
                raise CorruptError(f"{_show(folder / name)} has {values}")
        # A killed write_file may have left its temporary file, which nobody reads.
        known = (LOCK, _TEMPORARY, *(f"{name}/" for name in [MANIFEST, *(extra or ())]))
        for path, is_folder in _tree(folder) if extra is not None else ():
            name = path.relative_to(folder).as_posix()
            if not is_folder and name not in manifest.files and not f"{name}/".startswith(known):
                raise CorruptError(f"{_show(path)} is not in the manifest")
    except StoreError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        raise CorruptError(f"{_show(Path(str(error.filename)))} is missing") from error
    return manifest


def _read_manifest(path: Path) -> Manifest:
    with _explained("read", path):
        content = path.read_bytes()
    try:
        document: Any = json.loads(content)
        version = document["format"]
        if isinstance(version, int) and version > FORMAT:
            raise StoreError(
                f"{_show(path)} has format {version}; this silmu reads up to {FORMAT}",
                hint="pip install --upgrade silmu",
            )
        files = {str(name): FileRecord(**record) for name, record in document["files"].items()}
        sound = all(
            _portable(name) and type(record.size) is int and type(record.sha256) is str
            for name, record in files.items()
        )
        # Byte for byte, because a flipped bit in meta is as wrong as one in a size.
        if sound and content == _manifest_bytes(document["meta"], files):
            return Manifest(document["meta"], files)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise CorruptError(f"{_show(path)} is not as it was when written")


def _manifest_bytes(meta: Mapping[str, object], files: Mapping[str, FileRecord]) -> bytes:
    import hashlib

    try:
        # There and back, so that number keys and tuples are what a reader will see.
        plain = json.loads(json.dumps(meta, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UsageError(f"meta cannot be written as JSON: {error}") from error
    records = {name: record._asdict() for name, record in files.items()}
    document: dict[str, object] = {"files": records, "format": FORMAT, "meta": plain}
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _record(path: Path, quick: bool = False) -> FileRecord:
    import hashlib

    with _explained("read", path):
        status = path.stat()
        # Anything else, a named pipe say, could keep its reader waiting for ever.
        if not stat.S_ISREG(status.st_mode):
            raise CorruptError(f"{_show(path)} is not a regular file")
        if quick:
            return FileRecord(status.st_size, "")
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return FileRecord(file.tell(), digest)


def _portable(name: str) -> bool:
    """Whether a name means the same place inside a folder on every system."""
    odd = set(name) & set("\0\\:") or {"", ".", ".."} & set(name.split("/"))
    return not odd and name.casefold() != MANIFEST.casefold()


# ── locks ──────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def lock(folder: StrPath) -> Generator[None]:
    """Be the only writer of a folder; whoever comes second gets a LockedError.

    >>> with lock("run"):
    ...     write_file("run/run.toml", b"seed = 2")

    The kernel frees the lock when its holder dies. Where the file system has no such locks, a file
    named after its holder stands for it.
    """
    path = Path(folder).absolute() / LOCK
    _make_folder(path.parent)
    with ExitStack() as stack:
        with _operation("create", path):
            handle = os.open(path, os.O_RDWR | os.O_CREAT | _FLAGS, 0o666)
        _held.add(handle)
        stack.callback(_let_go, handle)
        with _operation("lock", path):
            taken = _take(handle)
        if taken is None:
            stack.enter_context(_claim(path))
        elif not taken:
            raise _locked(path, (_read_if_there(path) or b"").decode("ascii", "replace"))
        else:
            # Only to tell others who it is: a full disk must not keep us from making room.
            with suppress(StoreError), _explained("write", path):
                os.ftruncate(handle, 0)
                _write_all(handle, path, _stamp().encode())
        yield


def _take(handle: int) -> bool | None:
    """Whether the kernel gave us the lock; None where it has none to give."""
    try:
        if sys.platform == "win32":
            # Far behind the content, which others could not read if it were locked.
            os.lseek(handle, 1 << 30, os.SEEK_SET)
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            os.lseek(handle, 0, os.SEEK_SET)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES):
            return False
        if error.errno in _NO_FLOCK:
            return None
        raise
    return True


def _let_go(handle: int) -> None:
    if handle in _held:
        _held.remove(handle)
        os.close(handle)


@contextmanager
def _claim(path: Path) -> Generator[None]:
    # First show one's own claim, then look for others: of two, at least one sees the other. Claims
    # are never reused, so that clearing away a dead one cannot hit its successor.
    with _owned(path.parent, f"{LOCK}-") as mine:
        _create(mine, b"")
        for attempt in range(_CLAIM_ATTEMPTS):
            _sweep(path.parent, f"{LOCK}-")
            others = [one.name for one, _ in _children(path.parent) if one != mine]
            rivals = [name for name in others if name.startswith(f"{LOCK}-")]
            if not rivals:
                break
            # Of two that came together the smaller name stays, and waits for the other to go.
            if min(rivals) < mine.name or attempt == _CLAIM_ATTEMPTS - 1:
                raise _locked(path.with_name(rivals[0]), rivals[0].removeprefix(f"{LOCK}-"))
            time.sleep(0.01)
        yield


def _locked(path: Path, stamp: str) -> LockedError:
    machine, pid, *_ = [*stamp.split("-"), ""]
    who = f"process {pid}" if pid else "another process"
    hint = "wait for it to end, or stop it"
    if pid and machine != _machine():
        who += " of another machine or container"
        # Only a claim can outlive its holder; to delete the lock itself would let two in.
        hint += f"; if it is no more, delete {_show(path)}" if path.name != LOCK else ""
    return LockedError(f"{_show(path.parent)} is being written by {who}", hint=hint)


# ── whose is it, and is that process alive ─────────────────────────────────────────────────────

# Stamps of this process that are in use: what else carries its name is a leftover.
_active: set[str] = set()
# Handles of locks, which a forked child shares and would keep beyond its parent's death.
_held: set[int] = set()


def _forget() -> None:
    _active.clear()
    for handle in list(_held):
        _let_go(handle)


if sys.platform != "win32":
    os.register_at_fork(after_in_child=_forget)


@contextmanager
def _owned(parent: Path, prefix: str) -> Generator[Path]:
    """A path of our own, gone at the end if it has not been renamed."""
    stamp = _stamp()
    _active.add(stamp)
    try:
        yield parent / f"{prefix}{stamp}"
    finally:
        # Not in a forked child, whose parent still needs it.
        if stamp in _active:
            with suppress(StoreError):
                _delete(parent / f"{prefix}{stamp}")
            _active.discard(stamp)


@contextmanager
def _temporary(target: Path) -> Generator[Path]:
    _sweep(target.parent, _TEMPORARY)
    with _owned(target.parent, _TEMPORARY) as path:
        try:
            yield path
        except StoreError as error:
            if path.name in error.message:
                error.message += f", for {_show(target)}"
            raise


def _sweep(parent: Path, prefix: str) -> None:
    """Delete what writers left in this folder when they died."""
    for path, _ in _children(parent):
        if path.name.startswith(prefix) and not _alive(path.name.removeprefix(prefix)):
            # Another writer may be sweeping too, and the leftover may be another user's.
            with suppress(StoreError):
                _delete(path)


def _stamp() -> str:
    return f"{_machine()}-{os.getpid()}-{_born(os.getpid())}-{os.urandom(4).hex()}"


def _alive(stamp: str) -> bool:
    """Whether the process of a stamp may still be alive; what cannot be known counts as alive."""
    match = re.fullmatch(r"(\w+)-(\d{1,9})-([\w.]+)-\w+", stamp)
    if match is None or match[1] != _machine():
        return True
    born = _born(int(match[2]))
    if int(match[2]) == os.getpid() and born == match[3]:
        return stamp in _active
    return born in (match[3], _UNKNOWN)


@functools.cache
def _machine() -> str:
    """Where process numbers mean what they mean here: this host, this container."""
    import hashlib

    if sys.platform == "win32":
        place = os.environ.get("COMPUTERNAME", "")
    else:
        place = os.uname().nodename
        with suppress(OSError):
            place += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(place.encode()).hexdigest()[:12]


if sys.platform == "win32":

    def _born(pid: int) -> str | None:
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        handle = kernel.OpenProcess(0x1000, False, pid)
        if not handle:
            # 87: no such process. Any other refusal proves that there is one.
            return None if ctypes.get_last_error() == 87 else _UNKNOWN
        times = [ctypes.c_uint64() for _ in range(4)]
        known = kernel.GetProcessTimes(handle, *map(ctypes.byref, times))
        kernel.CloseHandle(handle)
        born, died = times[0].value, times[1].value
        return None if died else f"{born:x}" if known else _UNKNOWN

else:

    def _born(pid: int) -> str | None:
        """What tells a process from a later one of the same number; None if there is none."""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return None
        except (PermissionError, OverflowError):
            pass
        try:
            # Linux counts from the start of the machine, so a wrong clock cannot mislead.
            boot = (_PROC / "sys/kernel/random/boot_id").read_text()[:8]
            fields = (_PROC / f"{pid}/stat").read_bytes().rpartition(b")")[2].split()
            state, born = fields[0].decode(), f"{boot}.{fields[19].decode()}"
        except OSError:
            state, born = _born_by_ps(pid)
        # A zombie is dead but for a parent that has not yet asked how it died.
        return None if state[:1] in ("Z", "X") else born

    def _born_by_ps(pid: int) -> tuple[str, str]:
        import subprocess

        command = ["ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)]
        settled = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
        with suppress(OSError):
            done = subprocess.run(command, capture_output=True, text=True, env=settled, check=False)
            if words := done.stdout.split():
                return words[0], re.sub(r"\W", "", "".join(words[1:]))
        return "", _UNKNOWN


# ── operations: each named, each able to fail ──────────────────────────────────────────────────


@final
class Failpoint:
    """The fault that SILMU_FAILPOINT asks for, and how often each site has been passed."""

    def __init__(self) -> None:
        self._arm("")

    def _arm(self, spec: str) -> None:
        self.counts: Counter[str] = Counter()
        self.fired = False
        self._spec = spec
        match = re.fullmatch(r"([\w*]+):(\d+)(\+?):(\w+)", spec or "*:0:kill")
        if match is None or match[1] not in {*SITES, "*"}:
            form = f"<site>:<n>:<action>, site one of {', '.join(SITES)} or *"
            raise UsageError(f"SILMU_FAILPOINT is {spec!r}; it must be {form}")
        self._site, self._n, self._on, self._action = match[1], int(match[2]), match[3], match[4]
        if self._action not in ("kill", "short") and not hasattr(errno, self._action):
            raise UsageError(f"SILMU_FAILPOINT asks for {self._action!r}; no error has that name")

    def due(self, site: str) -> str | None:
        """Count one operation; the action to take at it, if any."""
        spec = os.environ.get("SILMU_FAILPOINT", "")
        if spec != self._spec:
            self._arm(spec)
        self.counts[site] += 1
        if self._site not in (site, "*"):
            return None
        passed = self.counts.total() if self._site == "*" else self.counts[site]
        if passed != self._n and not (self._on and passed > self._n):
            return None
        self.fired = True
        return self._action


failpoint = Failpoint()
_observers: list[Callable[[str, Path], None]] = []


@contextmanager
def observe(see: Callable[[str, Path], None]) -> Generator[None]:
    """Call `see(site, path)` after each operation that succeeded.

    >>> sites = []
    >>> with observe(lambda site, path: sites.append(site)):
    ...     write_file("note.txt", b"hello")
    >>> sites
    ['create', 'write', 'fsync', 'rename', 'fsync_dir']
    """
    _observers.append(see)
    try:
        yield
    finally:
        _observers.remove(see)


@contextmanager
def _operation(site: str, path: Path, num_bytes: int | None = None) -> Generator[bool]:
    """One operation on the disk; true if it shall do only half of its work."""
    with _explained(SITES[site], path, num_bytes):
        action = failpoint.due(site)
        if action and site != "write":
            _strike(action)
        yield bool(action)
        # A write is struck when half of it is on the disk, the worst moment there is.
        if action and site == "write":
            _strike(action)
    for see in _observers:
        see(site, path)


def _strike(action: str) -> None:
    if action == "kill":
        if sys.platform == "win32":
            os._exit(137)
        import signal

        os.kill(os.getpid(), signal.SIGKILL)
    if action != "short":
        code = getattr(errno, action)
        raise OSError(code, os.strerror(code))


@contextmanager
def _explained(tried: str, path: Path, num_bytes: int | None = None) -> Generator[None]:
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise _failure(tried, path, error, num_bytes) from error


def _failure(tried: str, path: Path, error: OSError, num_bytes: int | None = None) -> StoreError:
    message, hint = f"cannot {tried} {_show(path)}: {error.strerror or error}", None
    if error.errno in _FULL:
        import shutil

        needed = "at least a block" if num_bytes is None else f"{num_bytes:,} bytes"
        free = "an unknown number"
        with suppress(OSError):
            free = f"{shutil.disk_usage(_standing(path)).free:,}"
        message += f" ({needed} needed, {free} free)"
        hint = "make room there, or write elsewhere"
    failure = StoreError(message, hint=hint)
    failure.errno, failure.filename = error.errno, str(path)
    return failure


def _show(path: Path) -> str:
    text = str(path)
    return f"`{text}`" if text.isprintable() else repr(text)


def _standing(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    while not _exists(path):
        path = path.parent
    return path


def _exists(path: Path) -> bool:
    with _explained("look at", path):
        try:
            path.lstat()
        except FileNotFoundError:
            return False
    return True


def _read_if_there(path: Path) -> bytes | None:
    with _explained("read", path):
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None


def _children(folder: Path) -> list[tuple[Path, bool]]:
    """What is in a folder, and whether it is a folder too: a link to one is not."""
    with _explained("list", folder), os.scandir(folder) as entries:
        listed = [(Path(one.path), one.is_dir(follow_symlinks=False)) for one in entries]
    return sorted(listed)


def _tree(folder: Path) -> Iterator[tuple[Path, bool]]:
    """All that is below a folder, contents before what contains them."""
    for path, is_folder in _children(folder):
        if is_folder:
            yield from _tree(path)
        yield path, is_folder


def _make_folder(folder: Path) -> None:
    if _exists(folder):
        return
    _make_folder(folder.parent)
    with _operation("mkdir", folder):
        folder.mkdir(exist_ok=True)
    _fsync_folder(folder.parent)


def _create(path: Path, data: bytes, mode: int = 0o666) -> None:
    with _operation("create", path):
        handle = os.open(path, _NEW_FILE | _FLAGS, mode)
    try:
        _write_all(handle, path, data)
        with _operation("fsync", path, len(data)):
            _flush(handle)
    finally:
        with _explained("close", path, len(data)):
            os.close(handle)


def _write_all(handle: int, path: Path, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        chunk = rest[:_CHUNK]
        with _operation("write", path, len(data)) as half:
            written = os.write(handle, chunk[: (len(chunk) + 1) // 2] if half else chunk)
            if not written:
                raise OSError(errno.EIO, "nothing was written")
        rest = rest[written:]


def _fsync_file(path: Path, size: int) -> None:
    with _operation("fsync", path, size):
        # Windows flushes only what is open for writing; elsewhere the file may be read-only.
        handle = os.open(path, (os.O_RDWR if sys.platform == "win32" else os.O_RDONLY) | _FLAGS)
        try:
            _flush(handle)
        finally:
            os.close(handle)


def _fsync_folder(folder: Path) -> None:
    with _operation("fsync_dir", folder):
        if sys.platform == "win32":
            return
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _flush(handle)
        except OSError as error:
            # Some file systems, network ones above all, have nothing to flush for a folder.
            if error.errno not in (errno.EINVAL, *_NO_FLOCK):
                raise
        finally:
            os.close(handle)


def _flush(handle: int) -> None:
    if sys.platform == "darwin":
        # There fsync stops at the drive's own memory, which a power cut empties.
        with suppress(OSError):
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def _rename(source: Path, target: Path, *, replace: bool = False) -> None:
    with _operation("rename", target):
        # Asked because POSIX renames a folder onto an empty one without a word.
        if not replace and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        for pause in _RENAME_PAUSES:
            with suppress(PermissionError):
                source.replace(target) if replace else source.rename(target)
                return
            time.sleep(pause)
        source.replace(target) if replace else source.rename(target)


def _delete(path: Path) -> None:
    """Delete a file or a folder with all that is in it; nothing there is fine."""
    if not _exists(path):
        return
    with _explained("look at", path):
        root_is_folder = path.is_dir() and not path.is_symlink()
    for below, is_folder in [*(_tree(path) if root_is_folder else ()), (path, root_is_folder)]:
        with _operation("rmdir" if is_folder else "unlink", below):
            below.rmdir() if is_folder else below.unlink()
