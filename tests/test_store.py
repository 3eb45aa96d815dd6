"""Kill the writer, starve it, cut its power, race it: what it leaves must be old or new.

Every scenario is walked as SQLite is tested: the fault strikes at the first operation, then at the
second, and so on until a run passes without meeting it.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import errno
import gc
import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from silmu import store
from silmu.errors import CorruptError, LockedError, StoreError, UsageError
from silmu.store import _disk as disk
from silmu.store import _folders, _locks, _manifests, _owners, _pointers

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and POSIX files")
FILES = {"config.json": b"{}", "onnx/model.onnx": b"graph" * 20, "weights": b"w" * 99}


# ── scenarios: what is there before, one act, and what may be there after ──────────────────────


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[Path], None]
    act: Callable[[Path], None]
    state: Callable[[Path], str]


def write_step(root: Path, name: str, content: bytes = b"") -> None:
    with store.new_folder(root / name, meta={"name": name}) as writer:
        for file, data in FILES.items():
            writer.write(file, data + content)
        with writer.open("piece by piece") as file:
            file.write(b"pieces" + content)
        writer.path("by a library.bin").write_bytes(b"library" + content)


def step_is_there(root: Path, name: str) -> bool:
    if not os.path.lexists(root / name):
        return False
    manifest = store.verify(root / name)
    assert manifest.meta == {"name": name}
    assert len(manifest.files) == len(FILES) + 2
    return True


def folder_state(root: Path) -> str:
    assert step_is_there(root, "step-1")
    return "new" if step_is_there(root, "deep/er/step-2") else "old"


def file_state(root: Path) -> str:
    return {b"old" * 50: "old", b"new" * 70: "new"}[(root / "run.toml").read_bytes()]


def two_steps(root: Path) -> None:
    one_step(root)
    write_step(root, "step-2")


def pointer_state(root: Path) -> str:
    assert step_is_there(root, "step-1")
    assert step_is_there(root, "step-2")
    return {"step-1": "old", "step-2": "new"}[store.read_pointer(root).name]


def removed_state(root: Path) -> str:
    return "old" if step_is_there(root, "step-1") else "new"


def moved_state(root: Path) -> str:
    places = [name for name in ("step-1", "deep/er/step-9") if os.path.lexists(root / name)]
    assert len(places) == 1
    assert store.verify(root / places[0]).meta == {"name": "step-1"}
    return "old" if places == ["step-1"] else "new"


def one_step(root: Path) -> None:
    write_step(root, "step-1")
    store.write_pointer(root, "LATEST", "step-1")


def checkpoint(root: Path) -> None:
    with store.lock(root):
        store.reserve(root, 1000)
        if not step_is_there(root, "step-2"):
            write_step(root, "step-2")
        store.write_pointer(root, "LATEST", "step-2")
        if step_is_there(root, "step-1"):
            store.remove(root / "step-1")


def checkpoint_state(root: Path) -> str:
    named = store.read_pointer(root).name
    assert step_is_there(root, named)
    return "new" if named == "step-2" and not step_is_there(root, "step-1") else "old"


def sweep_after_kill(root: Path) -> None:
    """A `remove` was killed after its rename, before that was flushed; the next run clears up."""
    (root / "step-1").rename(root / f".tmp-{_owners.stamp()}")
    store.write_file(root / "next", b"next")


def old_file(root: Path) -> None:
    store.write_file(root / "run.toml", b"old" * 50)


def pieces(root: Path) -> None:
    with store.new_file(root / "run.toml") as file:
        for _ in range(2):
            file.write(b"new" * 35)
            file.flush()


SCENARIOS = {
    "folder": Scenario(one_step, lambda root: write_step(root, "deep/er/step-2"), folder_state),
    "file": Scenario(
        old_file, lambda root: store.write_file(root / "run.toml", b"new" * 70), file_state
    ),
    "pieces": Scenario(old_file, pieces, file_state),
    "pointer": Scenario(
        two_steps, lambda root: store.write_pointer(root, "LATEST", "step-2"), pointer_state
    ),
    "remove": Scenario(one_step, lambda root: store.remove(root / "step-1"), removed_state),
    "move": Scenario(
        one_step, lambda root: store.move(root / "step-1", root / "deep/er/step-9"), moved_state
    ),
    "checkpoint": Scenario(one_step, checkpoint, checkpoint_state),
}
walked = pytest.mark.parametrize("name", SCENARIOS)


# Writers that break the protocol, each in one way: the checks below must catch them.


def careless_folder(root: Path) -> None:
    """The manifest first, and under the final name."""
    files = {name: store.FileRecord(3, "0" * 64) for name in ("a", "b")}
    disk.make_folder(root / "step-2")
    disk.create(root / "step-2" / store.MANIFEST, _manifests.manifest_bytes({}, files))
    for name in files:
        disk.create(root / "step-2" / name, b"aaa")


def careless_folder_state(root: Path) -> str:
    if not (root / "step-2").exists():
        return "old"
    return "new" if store.verify(root / "step-2", quick=True) else "broken"


def careless_file(root: Path) -> None:
    (root / "run.toml").unlink()
    disk.create(root / "run.toml", b"new" * 70)


def hasty_file(root: Path) -> None:
    """Atomic for a kill, and not for a power cut: nothing is flushed."""
    (root / "fresh").write_bytes(b"new" * 70)
    disk.rename(root / "fresh", root / "run.toml", replace=True)


def hasty_remove(root: Path) -> None:
    """Deletes what it has renamed before the new name is on the disk."""
    disk.rename(root / "step-1", root / ".tmp-condemned")
    disk.delete(root / ".tmp-condemned")


CARELESS = {
    "folder": Scenario(lambda root: None, careless_folder, careless_folder_state),
    "file": Scenario(old_file, careless_file, file_state),
}
HASTY = {
    "file": Scenario(old_file, hasty_file, file_state),
    "remove": Scenario(one_step, hasty_remove, removed_state),
}


# ── kills ──────────────────────────────────────────────────────────────────────────────────────


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith((".tmp-", ".silmu.lock-"))]


def fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, of which the child starts and uses none.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def start(run: Callable[[], object]) -> int:
    if pid := fork():
        return pid
    # Garbage of the parent may be an engine, which would wait for threads that are not here.
    gc.disable()
    code = 1
    try:
        run()
        code = 0
    except LockedError:
        code = 3
    except StoreError:
        code = 2
    finally:
        os._exit(code)


def reap(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def in_child(run: Callable[[], object]) -> int:
    """Run in a forked child; its exit code, negative for a signal. 0 means no exception."""
    return reap(start(run))


def killed_in_fork(scenario: Scenario, root: Path, spec: str) -> bool:
    def run() -> None:
        os.environ["SILMU_FAILPOINT"] = spec
        scenario.act(root)

    code = in_child(run)
    assert code in (0, -9)
    return code != 0


def killed_in_interpreter(name: str, root: Path, spec: str) -> bool:
    """The same without fork, for Windows."""
    command = [sys.executable, __file__, name, str(root)]
    done = subprocess.run(command, env={**os.environ, "SILMU_FAILPOINT": spec}, check=False)
    assert done.returncode in (0, -9, 137)
    return done.returncode != 0


def walk_kills(scenario: Scenario, tmp: Path, name: str) -> Counter[str]:
    """Kill at the 1st, 2nd, ... operation until none is left; how often the state was which."""
    (tmp / "before").mkdir()
    scenario.prepare(tmp / "before")
    states: Counter[str] = Counter()
    for n in itertools.count(1):
        root = tmp / f"kill {n}"
        shutil.copytree(tmp / "before", root)
        if hasattr(os, "fork"):
            killed = killed_in_fork(scenario, root, f"*:{n}:kill")
        else:
            killed = killed_in_interpreter(name, root, f"*:{n}:kill")
        state = scenario.state(root)
        states[state] += 1
        if not killed:
            assert state == "new"
            assert not leftovers(root)
            return states
        next_run(scenario, root, state)
    raise AssertionError


def next_run(scenario: Scenario, root: Path, state: str) -> None:
    """The act is repeated if it did not come through; then nothing may be left behind."""
    if state == "old":
        scenario.act(root)
    folders = [path for path in root.rglob("*") if path.is_dir() and ".tmp-" not in str(path)]
    inside = [path for path in folders if "step-" in str(path.relative_to(root))]
    for folder in {root, *folders} - set(inside):
        store.write_file(folder / "next", b"next")
    assert scenario.state(root) == "new"
    assert not leftovers(root)
    shutil.rmtree(root)


@walked
def test_killed_at_any_operation_leaves_old_or_new(name: str, tmp_path: Path) -> None:
    states = walk_kills(SCENARIOS[name], tmp_path, name)
    print(f"{name}: {states.total() - 1} kill points, {dict(states)}")
    assert states["old"]
    assert states["new"] >= 2


@posix
@pytest.mark.parametrize("name", CARELESS)
def test_the_walk_catches_a_writer_that_is_not_atomic(name: str, tmp_path: Path) -> None:
    caught = (CorruptError, FileNotFoundError, KeyError)
    for walk, rest in ((walk_kills, (name,)), (walk_errors, ("EIO",))):
        folder = tmp_path / walk.__name__
        folder.mkdir()
        with pytest.raises(caught):
            walk(CARELESS[name], folder, *rest)


def test_the_walk_without_fork_sees_the_same(tmp_path: Path) -> None:
    # One kill point and one clean run: an interpreter each is slow.
    old_file(tmp_path)
    assert killed_in_interpreter("file", tmp_path, "rename:1:kill")
    assert file_state(tmp_path) == "old"
    assert len(leftovers(tmp_path)) == 1
    assert not killed_in_interpreter("file", tmp_path, "*:99:kill")
    assert file_state(tmp_path) == "new"
    assert not leftovers(tmp_path)


# ── errors ─────────────────────────────────────────────────────────────────────────────────────


def walk_errors(scenario: Scenario, tmp: Path, action: str, on: str = "") -> Counter[str]:
    (tmp / "before").mkdir()
    scenario.prepare(tmp / "before")
    outcomes: Counter[str] = Counter()
    for n in itertools.count(1):
        root = tmp / f"{action} {n}{on}"
        shutil.copytree(tmp / "before", root)
        error = None
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SILMU_FAILPOINT", f"*:{n}{on}:{action}")
            try:
                scenario.act(root)
            except StoreError as caught:
                error = caught
            fired = store.failpoint.fired
        state = scenario.state(root)
        if error is None:
            assert state == "new"
        else:
            assert fired
            check_error(error, root, action)
            # Only while the disk goes on failing can anything stay behind.
            assert on or not leftovers(root)
        outcomes[f"{state} after {'an error' if error else 'none'}"] += 1
        if not fired:
            return outcomes
        next_run(scenario, root, state)
    raise AssertionError


def check_error(error: StoreError, root: Path, action: str) -> None:
    text = str(error)
    assert error.errno == getattr(errno, action)
    assert os.strerror(error.errno) in text
    assert str(root) in text
    assert any(words in text for words in store.SITES.values())
    if action in ("ENOSPC", "EDQUOT"):
        assert re.search(r"([\d,]+ bytes|at least a block) needed, [\d,]+ free", text)
        assert error.hint


@walked
@pytest.mark.parametrize("action", ["ENOSPC", "EIO", "EDQUOT", "EMFILE", "EACCES"])
def test_an_error_at_any_operation_leaves_old_or_new(
    name: str, action: str, tmp_path: Path
) -> None:
    outcomes = walk_errors(SCENARIOS[name], tmp_path, action)
    print(f"{name} {action}: {dict(outcomes)}")
    assert outcomes["old after an error"]


@walked
def test_a_disk_that_goes_on_failing(name: str, tmp_path: Path) -> None:
    walk_errors(SCENARIOS[name], tmp_path, "EIO", "+")


@walked
def test_short_writes_are_completed(name: str, tmp_path: Path) -> None:
    assert set(walk_errors(SCENARIOS[name], tmp_path, "short")) == {"new after none"}


def test_every_site_is_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: Counter[str] = Counter()
    for n, (name, scenario) in enumerate(SCENARIOS.items(), 1):
        (tmp_path / name).mkdir()
        scenario.prepare(tmp_path / name)
        monkeypatch.setenv("SILMU_FAILPOINT", f"*:{n}00000:kill")
        scenario.act(tmp_path / name)
        passed += store.failpoint.counts
        monkeypatch.delenv("SILMU_FAILPOINT")
    assert set(passed) == set(store.SITES)


@pytest.mark.parametrize("spec", ["x", "nowhere:1:kill", "write:1:EWHATEVER", "write:-1:kill"])
def test_a_failpoint_that_means_nothing_is_refused(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILMU_FAILPOINT", spec)
    with pytest.raises(UsageError, match="SILMU_FAILPOINT"):
        store.write_file(tmp_path / "a", b"a")


@posix
def test_real_limits(tmp_path: Path) -> None:
    import resource

    store.write_file(tmp_path / "file", b"old")

    def new_folder() -> None:
        with store.new_folder(tmp_path / "new") as writer:
            writer.write("large", b"n" * 10_000)

    def piece_by_piece() -> None:
        with store.new_folder(tmp_path / "new") as writer, writer.open("large") as file:
            file.write(b"n" * 10_000)

    def limited(run: Callable[[], object]) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(StoreError) as caught:
            run()
        assert caught.value.errno == errno.EFBIG
        assert [path.name for path in tmp_path.iterdir()] == ["file"]

    # As with a quota, what is free does not tell; the file that proves it does, before the work.
    for run in (
        lambda: store.write_file(tmp_path / "file", b"n" * 10_000),
        lambda: store.reserve(tmp_path, 10_000),
        new_folder,
        piece_by_piece,
    ):
        assert in_child(lambda run=run: limited(run)) == 0

    def too_many() -> None:
        taken = [os.open(tmp_path / "file", os.O_RDONLY) for _ in range(3)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, max(taken) + 1))
        store.write_file(tmp_path / "file", b"new")

    assert in_child(too_many) == 2
    assert (tmp_path / "file").read_bytes() == b"old"


@posix
def test_a_library_that_meets_a_full_disk(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")

    def fill() -> None:
        with store.new_folder(tmp_path / "model") as writer:
            writer.path("weights").write_bytes(b"half")
            raise full

    with pytest.raises(StoreError, match=r"needed, .* free.*for .*model"):
        fill()
    # What has nothing to do with the disk passes as it is.
    for other in (TimeoutError, KeyboardInterrupt):
        with pytest.raises(other), store.new_folder(tmp_path / "model"):
            raise other
    assert list(tmp_path.iterdir()) == []


# ── power cuts: everything that was not flushed may be lost ────────────────────────────────────


class Disk:
    """What a real folder would look like after a power cut, at any moment.

    It watches the folder itself, by inode, and remembers for each file the content of its last
    fsync and for each folder the entries of its last one. After a cut every entry changed since may
    or may not have changed, and content written since may be there, half there, or not at all.
    """

    def __init__(self, root: Path, deaf_to: str = "") -> None:
        self.root = root
        self.deaf_to = deaf_to
        self.content: dict[int, bytes] = {}
        self.entries: dict[int, dict[str, int]] = {}
        self.cuts = 0
        self.seen: dict[tuple, None] = {}
        for path in [root, *root.rglob("*")]:
            self.flushed(path)

    def flushed(self, path: Path) -> None:
        inode = path.stat().st_ino
        if path.is_dir():
            self.entries[inode] = self.list(path)
        else:
            self.content[inode] = path.read_bytes()

    @staticmethod
    def list(folder: Path) -> dict[str, int]:
        return {entry.name: entry.inode() for entry in os.scandir(folder)}

    def after(self, site: str, path: Path) -> None:
        if site in ("fsync", "fsync_dir") and site != self.deaf_to:
            self.flushed(path)
        self.cut()

    def cut(self) -> None:
        self.cuts += 1
        self.now_content: dict[int, bytes] = {}
        self.now_entries: dict[int, dict[str, int]] = {}
        for path in [self.root, *self.root.rglob("*")]:
            inode = path.stat().st_ino
            if path.is_dir():
                self.now_entries[inode] = self.list(path)
            else:
                self.now_content[inode] = path.read_bytes()
        # A number whose file is gone, now and on the disk, will be given to another file.
        alive = {self.root.stat().st_ino, *self.now_content, *self.now_entries}
        alive |= {inode for listed in self.entries.values() for inode in listed.values()}
        for memory in (self.content, self.entries):
            for inode in set(memory) - alive:
                del memory[inode]
        # A folder's changed entries come through or not, one by one; so does a file's content.
        for unflushed in ("lost", "half", "there"):
            for folders in self.mixtures(self.root.stat().st_ino, unflushed):
                self.seen[folders] = None

    def mixtures(self, inode: int, unflushed: str) -> list[tuple]:
        if inode in self.now_content or inode in self.content:
            kept = self.content.get(inode, b"")
            now = self.now_content.get(inode, kept)
            lost = {"lost": kept, "half": now[: len(now) // 2], "there": now}
            return [("file", kept if now == kept else lost[unflushed])]
        old, new = self.entries.get(inode, {}), self.now_entries.get(inode, {})
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        assert len(changed) <= 7, "too many unflushed entries to try them all"
        found: dict[tuple, None] = {}
        for chosen in itertools.product((old, new), repeat=len(changed)):
            listed = {name: inode for name, inode in old.items() if name not in changed}
            listed |= {
                name: version[name]
                for name, version in zip(changed, chosen, strict=True)
                if name in version
            }
            inside = [self.mixtures(one, unflushed) for one in listed.values()]
            for contents in itertools.product(*inside):
                found["folder", tuple(sorted(zip(listed, contents, strict=True)))] = None
        return list(found)


def build(path: Path, node: tuple) -> None:
    if node[0] == "file":
        path.write_bytes(node[1])
        return
    path.mkdir()
    for name, below in node[1]:
        build(path / name, below)


def replay(scenario: Scenario, tmp: Path, deaf_to: str = "") -> Counter[str]:
    root = tmp / "root"
    root.mkdir()
    scenario.prepare(root)
    disk = Disk(root, deaf_to)
    with store.observe(disk.after):
        scenario.act(root)
    # What was promised when the call returned must hold.
    last = len(disk.seen)
    disk.seen, before = {}, list(disk.seen)
    disk.cut()
    states: Counter[str] = Counter()
    for n, node in enumerate([*before, *disk.seen]):
        build(tmp / f"cut {n}", node)
        state = scenario.state(tmp / f"cut {n}")
        assert n < last or state == "new", "lost after the writer had returned"
        states[state] += 1
        shutil.rmtree(tmp / f"cut {n}")
    print(f"{disk.cuts} moments, {states.total()} different disks, {dict(states)}")
    return states


# A folder has two entries while it moves. File systems with a journal change both together; that
# others may not is said in its docstring.
FLUSHED = [name for name in SCENARIOS if name != "move"]


@posix
@pytest.mark.parametrize("name", FLUSHED)
def test_a_power_cut_leaves_old_or_new(name: str, tmp_path: Path) -> None:
    states = replay(SCENARIOS[name], tmp_path)
    assert states["old"]
    assert states["new"]


SWEEP = Scenario(one_step, sweep_after_kill, removed_state)
UNFLUSHED = [(HASTY["file"], ""), (HASTY["remove"], ""), (SWEEP, "fsync_dir")]
UNFLUSHED += [(SCENARIOS["folder"], "fsync"), (SCENARIOS["folder"], "fsync_dir")]


@posix
def test_a_power_cut_after_a_kill(tmp_path: Path) -> None:
    assert set(replay(SWEEP, tmp_path)) == {"new"}


@posix
@pytest.mark.parametrize(("scenario", "deaf_to"), UNFLUSHED)
def test_the_replay_catches_a_writer_that_does_not_flush(
    scenario: Scenario, deaf_to: str, tmp_path: Path
) -> None:
    with pytest.raises((CorruptError, KeyError, AssertionError)):
        replay(scenario, tmp_path, deaf_to)


# ── damage ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sound")
    write_step(root, "step-9", b"older")
    write_step(root, "step-10", b"newer")
    store.write_pointer(root, "LATEST", "step-10")
    (root / "log.jsonl").write_bytes(b"{}")
    return root


@contextlib.contextmanager
def damaged(path: Path, content: bytes) -> Iterator[None]:
    whole = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(whole)


def flips(whole: bytes) -> Iterator[bytes]:
    for n in range(len(whole)):
        flipped = bytearray(whole)
        flipped[n] ^= 1 << random.Random(n).randrange(8)
        yield bytes(flipped)


def missed(folder: Path, file: str, contents: Iterator[bytes], quick: bool) -> int:
    """How many damaged contents pass, or are not told with the file's name."""
    passed = 0
    for content in contents:
        with damaged(folder / file, content):
            try:
                store.verify(folder, quick=quick)
            except StoreError as error:
                passed -= str(folder / file) in str(error)
            passed += 1
    return passed


@pytest.mark.parametrize("file", [*FILES, "by a library.bin", store.MANIFEST])
def test_every_flip_and_every_truncation_is_found(sound: Path, file: str) -> None:
    whole = (sound / "step-10" / file).read_bytes()
    assert missed(sound / "step-10", file, flips(whole), quick=False) == 0
    shorter = (whole[:n] for n in range(len(whole)))
    assert missed(sound / "step-10", file, shorter, quick=True) == 0
    store.verify(sound / "step-10")


def test_sizes_alone_find_no_flip(sound: Path) -> None:
    whole = (sound / "step-10" / "weights").read_bytes()
    assert missed(sound / "step-10", "weights", flips(whole), quick=True) == len(whole)


def test_damage_is_named_with_both_values(sound: Path) -> None:
    weights = sound / "step-10" / "weights"
    size = weights.stat().st_size
    told = r"weights. has SHA-256 \w{64}; \w{64} was written"
    with damaged(weights, b"x" * size), pytest.raises(CorruptError, match=told):
        store.verify(sound / "step-10")
    told = rf"weights. has {size + 1} bytes; {size} were written"
    with damaged(weights, b"x" * (size + 1)), pytest.raises(CorruptError, match=told):
        store.verify(sound / "step-10", quick=True)


def test_every_flipped_bit_of_a_pointer_is_found(sound: Path) -> None:
    whole = (sound / "LATEST").read_bytes()
    for n, bit in itertools.product(range(len(whole)), range(8)):
        flipped = bytearray(whole)
        flipped[n] ^= 1 << bit
        with damaged(sound / "LATEST", bytes(flipped)), pytest.warns(UserWarning, match="step-10"):
            assert store.read_pointer(sound, quick=True) == sound / "step-10"
    # Not even one that names its neighbour is believed.
    with (
        damaged(sound / "LATEST", whole.replace(b"step-10", b"step-9")),
        pytest.warns(UserWarning, match=r"LATEST. is not as it was when written; using .*step-10"),
    ):
        assert store.read_pointer(sound) == sound / "step-10"


NONSENSE = [b"", b"\xff", b"[]", b"null", b"1", b"[" * 99_999, b"\0" * 99, b'{"folder": 1}']
NONSENSE += [b'{"folder": []}', b'{"folder": "../x"}', b'{"folder": "/etc"}', b'{"folder": ""}']


@pytest.mark.parametrize("content", [*NONSENSE, b'{"folder": "."}'], ids=range(len(NONSENSE) + 1))
def test_nonsense_in_a_pointer_or_manifest(sound: Path, content: bytes) -> None:
    with damaged(sound / "LATEST", content), pytest.warns(UserWarning, match="using"):
        assert store.read_pointer(sound) == sound / "step-10"
    with damaged(sound / "step-10" / store.MANIFEST, content), pytest.raises(CorruptError):
        store.verify(sound / "step-10")


def test_the_newest_sound_folder_by_number_not_by_clock(tmp_path: Path) -> None:
    for name in ("step-10", "step-9", "step-2", "step-11"):
        write_step(tmp_path, name)
    os.utime(tmp_path / "step-2", (4e9, 4e9))
    with pytest.warns(UserWarning, match=r"LATEST. is missing; using .*step-11"):
        assert store.read_pointer(tmp_path).name == "step-11"
    (tmp_path / "LATEST").mkdir()
    with pytest.warns(UserWarning, match=r"LATEST. is not as it was.*; using .*step-11"):
        assert store.read_pointer(tmp_path).name == "step-11"
    (tmp_path / "LATEST").rmdir()
    store.write_pointer(tmp_path, "LATEST", "step-11")
    (tmp_path / "step-11" / "weights").unlink()
    (tmp_path / ".tmp-hidden").mkdir()
    with pytest.warns(UserWarning, match=r"weights. is missing; using .*step-10"):
        assert store.read_pointer(tmp_path, quick=True).name == "step-10"
    for name in ("step-10", "step-9", "step-2"):
        (tmp_path / name / "config.json").write_bytes(b"")
    # Starting again from nothing, silently, is what must not happen.
    with pytest.raises(CorruptError, match="no folder beside it is sound"):
        store.read_pointer(tmp_path)
    assert store.read_pointer(tmp_path / "nowhere") is None
    (tmp_path / "empty").mkdir()
    assert store.read_pointer(tmp_path / "empty") is None


def test_what_is_not_in_the_manifest(tmp_path: Path) -> None:
    write_step(tmp_path, "m")
    folder = tmp_path / "m"
    store.write_file(folder / "README.md", b"after evaluation")
    (folder / "logs").mkdir()
    (folder / "logs" / "1").write_bytes(b"")
    with pytest.raises(CorruptError, match=r"README.md. is not in the manifest"):
        store.verify(folder)
    with pytest.raises(CorruptError, match="logs"):
        store.verify(folder, extra=["README.md", "log"])
    store.verify(folder, extra=["README.md", "logs"])
    store.verify(folder, extra=None)
    with pytest.raises(CorruptError, match="is missing"):
        store.verify(tmp_path / "nothing")


FORGED = {"../secret": (6, ""), "/etc/passwd": (6, ""), "a\\b": (6, ""), "a": ("6", "")}
FORGED |= {"b": (True, ""), "c": (6, None), store.MANIFEST: (6, "")}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_manifest_reads_nothing_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "m").mkdir()
    content = _manifests.manifest_bytes({}, {name: store.FileRecord(*FORGED[name])})
    (tmp_path / "m" / store.MANIFEST).write_bytes(content)
    with pytest.raises(CorruptError, match=r"MANIFEST.json. is not as it was"):
        store.verify(tmp_path / "m", quick=True)


def test_a_folder_of_a_newer_silmu_is_not_called_corrupt(tmp_path: Path) -> None:
    (tmp_path / store.MANIFEST).write_text(json.dumps({"format": 2}))
    with pytest.raises(StoreError, match=r"format 2; this silmu reads up to 1") as caught:
        store.verify(tmp_path)
    assert not isinstance(caught.value, CorruptError)
    assert "upgrade" in str(caught.value)


@posix
def test_a_pipe_or_a_link_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"secret")
    links = [os.mkfifo, lambda path: path.symlink_to(tmp_path / "outside")]
    for make in [*links, lambda path: path.symlink_to(tmp_path)]:
        with pytest.raises(StoreError), store.new_folder(tmp_path / "new") as writer:
            make(writer.path("odd"))
        assert not (tmp_path / "new").exists()
    write_step(tmp_path, "m")
    for make, file in itertools.product(links, ("weights", store.MANIFEST)):
        whole = (tmp_path / "m" / file).read_bytes()
        (tmp_path / "m" / file).unlink()
        make(tmp_path / "m" / file)
        with pytest.raises(CorruptError, match=f"{file}. is not a regular file"):
            store.verify(tmp_path / "m")
        (tmp_path / "m" / file).unlink()
        (tmp_path / "m" / file).write_bytes(whole)
    # Sound in itself, and somewhere else.
    (tmp_path / "m" / "onnx").rename(tmp_path / "onnx")
    (tmp_path / "m" / "onnx").symlink_to(tmp_path / "onnx")
    with pytest.raises(CorruptError, match=r"onnx/model.onnx. is missing"):
        store.verify(tmp_path / "m", extra=None)


# ── several processes ──────────────────────────────────────────────────────────────────────────


class Gate:
    """Lets processes wait for each other without a clock: a pipe, closed when it opens."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()

    def wait(self) -> None:
        os.close(self.writer)
        os.read(self.reader, 1)

    def open(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@posix
@pytest.mark.parametrize("exist_ok", [False, True])
def test_several_writers_of_one_target(tmp_path: Path, exist_ok: bool) -> None:
    for round_ in range(25):
        gate, target = Gate(), tmp_path / f"target {round_}"

        def run(target: Path = target, gate: Gate = gate) -> None:
            with store.new_folder(target, exist_ok=exist_ok) as writer:
                writer.write("pid", str(os.getpid()).encode())
                gate.wait()

        children = [start(run) for _ in range(3)]
        gate.open()
        codes = {pid: reap(pid) for pid in children}
        store.verify(target)
        if exist_ok:
            assert set(codes.values()) == {0}
        else:
            assert sorted(codes.values()) == [0, 2, 2]
            assert codes[int((target / "pid").read_bytes())] == 0
        assert not leftovers(tmp_path)


def test_a_target_that_is_there(tmp_path: Path) -> None:
    write_step(tmp_path, "m")
    with pytest.raises(StoreError, match=r"m. is already there"), store.new_folder(tmp_path / "m"):
        pytest.fail("must be refused before the work, not after")

    def come_too_late() -> None:
        with store.new_folder(tmp_path / "late"):
            (tmp_path / "late").mkdir()

    with pytest.raises(StoreError, match="is already there"):
        come_too_late()
    with store.new_folder(tmp_path / "m", exist_ok=True) as writer:
        writer.write("a", b"a")
    assert step_is_there(tmp_path, "m")
    (tmp_path / "m" / "weights").write_bytes(b"")
    with pytest.raises(CorruptError), store.new_folder(tmp_path / "m", exist_ok=True) as writer:
        writer.write("a", b"a")
    assert not leftovers(tmp_path)


@pytest.fixture(params=["flock", "no flock"])
def locking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "no flock":
        monkeypatch.setattr(_locks, "_take", lambda handle: None)
    return request.param


def race(lock: Callable[[Path], contextlib.AbstractContextManager[None]], folder: Path) -> None:
    """Of three processes that come at once, one is the writer, and the others are told so."""
    ready, done = Gate(), Gate()
    told, tell = os.pipe()

    def run() -> None:
        ready.wait()
        try:
            with lock(folder):
                os.write(tell, b"+")
                done.wait()
        except LockedError:
            os.write(tell, b"-")
            raise

    children = [start(run) for _ in range(3)]
    ready.open()
    answers = b"".join(os.read(told, 1) for _ in children)
    done.open()
    os.close(told)
    os.close(tell)
    codes = sorted(map(reap, children))
    assert sorted(answers) == sorted(b"+--")
    assert codes == [0, 3, 3]
    assert not leftovers(folder)


@posix
@pytest.mark.usefixtures("locking")
def test_of_several_one_gets_the_lock(tmp_path: Path) -> None:
    for _ in range(25):
        race(store.lock, tmp_path)


@posix
def test_the_race_catches_a_lock_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(AssertionError):
        race(lambda folder: contextlib.nullcontext(), tmp_path)


@posix
@pytest.mark.usefixtures("locking")
def test_the_loser_is_told_by_whom(tmp_path: Path) -> None:
    who = rf"is being written by process {os.getpid()}\n\nhint: wait"
    with (
        store.lock(tmp_path),
        pytest.raises(LockedError, match=who),
        store.lock(tmp_path),
    ):
        pytest.fail("one process must not get it twice either")
    with store.lock(tmp_path):
        pass
    assert not leftovers(tmp_path)


@posix
def test_a_lock_dies_with_its_holder(locking: str, tmp_path: Path) -> None:
    def run() -> None:
        with store.lock(tmp_path):
            os.kill(os.getpid(), signal.SIGKILL)

    pid = start(run)
    # Dead, and not yet reaped: a zombie still has its number.
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    with store.lock(tmp_path):
        assert len(leftovers(tmp_path)) == (locking == "no flock")
    assert reap(pid) == -9
    assert not leftovers(tmp_path)


@posix
@pytest.mark.usefixtures("locking")
def test_a_forked_child_neither_keeps_nor_frees(tmp_path: Path) -> None:
    gate, told = Gate(), Gate()

    def work() -> None:
        os.write(told.writer, b"+")
        gate.wait()

    def die() -> None:
        with store.lock(tmp_path):
            start(work)
            os.read(told.reader, 1)
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -9
    with store.lock(tmp_path):
        gate.open()
    told.open()

    def leave() -> None:
        # A child that leaves the blocks must not free or clear away what is its parent's.
        with store.lock(tmp_path), store.new_folder(tmp_path / "m") as writer:
            writer.write("a", b"a")
            if (child := fork()) == 0:
                raise StoreError("the child leaves")
            assert reap(child) == 2
            with contextlib.suppress(LockedError), store.lock(tmp_path):
                os._exit(9)

    assert in_child(leave) == 0
    assert list(store.verify(tmp_path / "m").files) == ["a"]


@posix
def test_flock_is_tried_and_done_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    def refuse(handle: int, how: int) -> None:
        raise OSError(refusals[-1], os.strerror(refusals[-1]))

    monkeypatch.setattr(fcntl, "flock", refuse)
    refusals = [errno.EIO, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOLCK]
    while len(refusals) > 1:
        with store.lock(tmp_path):
            assert len(leftovers(tmp_path)) == 1
            with pytest.raises(LockedError), store.lock(tmp_path):
                pass
        assert not leftovers(tmp_path)
        refusals.pop()
    with pytest.raises(StoreError, match="cannot lock") as caught, store.lock(tmp_path):
        pass
    assert not isinstance(caught.value, LockedError)


@posix
def test_who_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, pid, born, _ = _owners.stamp().split("-")
    reaped = start(lambda: None)
    reap(reaped)
    parent = _owners._born(os.getppid())
    alive = {
        f"{here}-{os.getppid()}-{parent}-00": True,
        f"{here}-{os.getppid()}-00000000.1-00": False,  # its number was given away
        f"{here}-{reaped}-{born}-00": False,
        f"{here}-{pid}-{born}-00": False,  # our own, and not in use
        f"{'0' * 12}-{reaped}-{born}-00": True,  # of another machine: who knows
        "whatever": True,
    }
    assert {mark: _owners.alive(mark) for mark in alive} == alive
    for mark in alive:
        (tmp_path / f".tmp-{mark}").mkdir()
    store.write_file(tmp_path / "file", b"")
    assert {path.name[5:] for path in leftovers(tmp_path)} == {one for one in alive if alive[one]}
    # A claim from elsewhere is respected, and its message says how to end it.
    monkeypatch.setattr(_locks, "_take", lambda handle: None)
    foreign = tmp_path / f"{store.LOCK}-{'0' * 12}-7-{born}-00"
    foreign.touch()
    told = rf"process 7 of another machine.*delete .{re.escape(str(foreign))}"
    with pytest.raises(LockedError, match=f"(?s){told}"), store.lock(tmp_path):
        pass


@posix
@pytest.mark.skipif(not shutil.which("ps"), reason="needs ps")
def test_who_is_alive_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_owners, "_PROC", Path("/nowhere"))
    born = _owners._born(os.getpid())
    assert re.fullmatch(r"[A-Z]\w+20\d\d", born)
    assert _owners.alive(f"{_owners.machine()}-{os.getppid()}-{_owners._born(os.getppid())}-00")
    pid = start(lambda: None)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert _owners._born(pid) is None
    reap(pid)
    assert _owners._born(pid) is None
    monkeypatch.setenv("PATH", "")
    assert _owners._born(os.getpid()) == _owners._UNKNOWN


@posix
def test_temporary_files_of_the_living_are_left_alone(tmp_path: Path) -> None:
    gate, told = Gate(), Gate()

    def run() -> None:
        with store.new_folder(tmp_path / "slow") as writer:
            writer.write("a", b"a")
            os.write(told.writer, b"+")
            gate.wait()

    pid = start(run)
    os.read(told.reader, 1)
    with store.new_folder(tmp_path / "own") as writer:
        writer.write("a", b"a")
        store.write_file(tmp_path / "in between", b"")
    told.open()
    gate.open()
    assert reap(pid) == 0
    store.verify(tmp_path / "slow")
    store.verify(tmp_path / "own")


@posix
def test_a_reader_while_a_writer_moves_on(tmp_path: Path) -> None:
    one_step(tmp_path)

    def run() -> None:
        for n in range(2, 60):
            write_step(tmp_path, f"step-{n}")
            store.write_pointer(tmp_path, "LATEST", f"step-{n}")
            store.remove(tmp_path / f"step-{n - 1}")

    pid = start(run)
    read: Counter[str] = Counter()
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        read[store.read_pointer(tmp_path).name] += 1
    assert reap(pid) == 0
    print(f"{read.total()} reads of {len(read)} steps")
    assert read
    assert store.read_pointer(tmp_path).name == "step-59"


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_a_pointer_names_is_removed_while_it_is_read(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_steps(tmp_path)
    verify = store.verify

    def overtaken(folder: Path, **how: Any) -> store.Manifest:
        manifest = None if moment == "before" else verify(folder, **how)
        if folder.name == "step-1":
            store.write_pointer(tmp_path, "LATEST", "step-2")
            store.remove(folder)
        return manifest or verify(folder, **how)

    monkeypatch.setattr(_pointers, "verify", overtaken)
    assert store.read_pointer(tmp_path).name == "step-2"


def test_threads_of_one_process(tmp_path: Path) -> None:
    def run(n: int) -> None:
        for m in range(5):
            with store.new_folder(tmp_path / f"{n}-{m}") as writer:
                writer.write("a", b"a")
            store.write_file(tmp_path / "shared", b"x" * 99)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([store.verify(path) for path in tmp_path.iterdir() if path.is_dir()]) == 20
    assert not leftovers(tmp_path)


# ── odd surroundings ───────────────────────────────────────────────────────────────────────────


ODD = ["with spaces", "two\nlines", "🦜 실무", "n" * 255, "é" * 127, "-rf", "\udcff", "%s{}"]


@posix
@pytest.mark.parametrize("name", ODD)
def test_odd_names(name: str, tmp_path: Path) -> None:
    write_step(tmp_path / name, name)
    assert step_is_there(tmp_path / name, name)
    with store.new_folder(tmp_path / "inside") as writer:
        writer.write(f"{name}/{name}", b"a")
    assert list(store.verify(tmp_path / "inside").files) == [f"{name}/{name}"]
    store.write_pointer(tmp_path / name, "LATEST", name)
    assert store.read_pointer(tmp_path / name).name == name
    with pytest.raises(StoreError) as caught, store.new_folder(tmp_path / name / name):
        pass
    assert "\n" not in caught.value.message
    store.remove(tmp_path / name / name)
    store.write_file(tmp_path / name / name, b"a")
    with store.lock(tmp_path / name):
        pass
    assert not leftovers(tmp_path)


def test_a_name_too_long_is_refused_before_the_work(tmp_path: Path) -> None:
    with (
        pytest.raises(StoreError, match="File name too long"),
        store.new_folder(tmp_path / ("n" * 256)),
    ):
        pytest.fail("must be refused before the work, not after")


OUTSIDE = ["", ".", "..", "/etc/x", "../x", "a/../../x", "a//b", "a/", "./a", "C:x", "C:\\x"]
ELSEWHERE = ["a\\b", "a\0b", "MANIFEST.json", "manifest.JSON", "con", "a/NUL.txt", "a.", "a /b"]


@pytest.mark.parametrize("name", OUTSIDE + ELSEWHERE)
def test_names_that_leave_the_folder_or_mean_another_place(name: str, tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "m") as writer:
        for write in (writer.path, lambda name: writer.write(name, b"")):
            with pytest.raises(StoreError, match="not a name for a file inside"):
                write(name)
        writer.write("console.log", b"")
    assert list(store.verify(tmp_path / "m").files) == ["console.log"]


def test_names_that_clash_elsewhere(tmp_path: Path) -> None:
    with store.new_folder(tmp_path / "m") as writer:
        writer.write("Data/été", b"")
        for twin in ("data/x", "Data/e\u0301te\u0301", "DATA/ÉTÉ"):
            with pytest.raises(StoreError, match="are one name on some systems"):
                writer.write(twin, b"")
        with pytest.raises(StoreError, match="File exists"):
            writer.write("Data/été", b"")


@posix
def test_umask_and_modes(tmp_path: Path) -> None:
    def run() -> None:
        os.umask(0o077)
        write_step(tmp_path, "m")
        assert (tmp_path / "m" / "weights").stat().st_mode & 0o777 == 0o600

    assert in_child(run) == 0
    store.write_file(tmp_path / "run.toml", b"password")
    (tmp_path / "run.toml").chmod(0o600)
    store.write_file(tmp_path / "run.toml", b"another")
    assert (tmp_path / "run.toml").stat().st_mode & 0o777 == 0o600


def test_space_is_asked_for_before_a_long_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(handle: int, start: int, end: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "unable")

    taken: list[int] = []
    with store.observe(lambda site, path: site == "write" and taken.append(path.stat().st_size)):
        store.reserve(tmp_path / "not" / "yet" / "there", 100_000)
        # Where room cannot be had without writing to it.
        monkeypatch.setattr(os, "posix_fallocate", unable, raising=False)
        monkeypatch.setattr(disk, "CHUNK", 30_000)
        store.reserve(tmp_path, 100_000)
    assert taken == [100_000, 100_000]
    assert list(tmp_path.iterdir()) == []
    needed = 1 << 60
    with pytest.raises(StoreError, match=rf"there.*{needed:,} bytes needed, [\d,]+ free") as caught:
        store.reserve(tmp_path / "there", needed)
    assert caught.value.errno == errno.ENOSPC


def test_meta_must_be_json(tmp_path: Path) -> None:
    for meta in ({"a": float("nan")}, {"a": object()}, {"a": b"bytes"}):
        with pytest.raises(UsageError, match="meta"), store.new_folder(tmp_path / "m", meta=meta):
            pytest.fail("must be refused before the work, not after")
    with store.new_folder(tmp_path / "m", meta={10: (1, 2), 9: "\udcff"}) as writer:
        writer.meta["rows"] = 3
    assert store.verify(tmp_path / "m").meta == {"10": [1, 2], "9": "\udcff", "rows": 3}


plain = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
nested = st.recursive(
    plain, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(meta=st.dictionaries(st.text(), nested), content=st.binary(max_size=300))
def test_what_is_written_is_read(tmp_path: Path, meta: dict[str, object], content: bytes) -> None:
    with store.new_folder(tmp_path / "any", meta=meta) as writer:
        writer.write("content", content)
    assert store.verify(tmp_path / "any").meta == meta
    assert (tmp_path / "any" / "content").read_bytes() == content
    store.remove(tmp_path / "any")


def test_a_file_larger_than_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "CHUNK", 1000)
    content = random.Random(0).randbytes(10_500)
    sites: list[str] = []
    with store.observe(lambda site, path: sites.append(site)):
        store.write_file(tmp_path / "large", content)
    assert (tmp_path / "large").read_bytes() == content
    assert sites.count("write") == 11
    with store.new_folder(tmp_path / "m") as writer:
        writer.copy(tmp_path / "large", "copied")
        writer.copy(tmp_path / "large", "taken back")
        writer.discard("taken back")
    assert list(store.verify(tmp_path / "m").files) == ["copied"]
    assert (tmp_path / "m" / "copied").read_bytes() == content


def test_removing_what_is_not_there_or_only_linked(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot rename .*nothing"):
        store.remove(tmp_path / "nothing")
    if sys.platform != "win32":
        write_step(tmp_path, "m")
        (tmp_path / "link").symlink_to(tmp_path / "m")
        store.remove(tmp_path / "link")
        assert step_is_there(tmp_path, "m")
        assert not (tmp_path / "link").is_symlink()


@posix
def test_a_rename_that_a_scanner_delays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refusals = [PermissionError(errno.EACCES, "held by a scanner")] * 2
    whole = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if refusals:
            raise refusals.pop()
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(disk, "_RENAME_PAUSES", (0.0, 0.0))
    store.write_file(tmp_path / "file", b"a")
    assert (tmp_path / "file").read_bytes() == b"a"


def test_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    attempted = 0
    for module in (disk, _folders, _locks, _manifests, _pointers):
        result = doctest.testmod(module, globs={"store": store, "Path": Path})
        assert not result.failed
        attempted += result.attempted
    assert attempted >= 15


def test_importing_it_is_cheap() -> None:
    command = "import sys; import silmu.store; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True)
    heavy = {"hashlib", "shutil", "subprocess", "tempfile", "ctypes", "dataclasses", "numpy"}
    heavy |= {"logging", "socket", "uuid", "inspect", "unicodedata"}
    assert not heavy & set(ast.literal_eval(done.stdout.decode()))


if __name__ == "__main__":
    SCENARIOS[sys.argv[1]].act(Path(sys.argv[2]))
