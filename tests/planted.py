"""Bad loaders, one for each outcome that the judge must not miss."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any


def untyped_error(folder: str) -> Any:
    raise KeyError(folder)


def panic(folder: str) -> Any:
    from tokenizers import Regex, pre_tokenizers

    return pre_tokenizers.Split(Regex("(a+)+b"), "isolated").pre_tokenize_str("a" * 99 + "!")


def hangs(folder: str) -> Any:
    time.sleep(60)


def hangs_in_c(folder: str) -> Any:
    return sum(range(10**12))


def crashes(folder: str) -> Any:
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def leaves(folder: str) -> Any:
    os._exit(3)


def eats_memory(folder: str) -> Any:
    return len(bytearray(os.urandom(1)) * (700 << 20))


def eats_all_memory(folder: str) -> Any:
    return len(bytearray(b"1") * (8 << 30))


def opens_outside(folder: str) -> Any:
    return len(Path(folder, "../outside/secret.json").read_bytes())


def opens_outside_unseen(folder: str) -> Any:
    libc = ctypes.CDLL(None)
    handle = libc.open(os.fsencode(Path(folder, "../outside/secret.json")), os.O_RDONLY)
    return handle > 0


def follows_a_link(folder: str) -> Any:
    return len(Path(folder, "link.json").read_bytes())


def writes_into_the_folder(folder: str) -> Any:
    return Path(folder, "new").write_text("x")


def connects(folder: str) -> Any:
    with socket.socket() as one:
        one.settimeout(0.1)
        try:
            one.connect(("127.0.0.1", 9))
        except OSError:
            return "swallowed"


def leaks(folder: str) -> Any:
    return Path(folder, "../outside/secret.json").read_text()


def creates(folder: str) -> Any:
    return Path(folder, "../outside/created").mkdir()


def imports(folder: str) -> Any:
    sys.path.insert(0, folder)
    import code_of_its_own  # pyright: ignore

    return str(code_of_its_own)


def unpickles(folder: str) -> Any:
    return str(pickle.loads(b"cbuiltins\nlen\n."))


def starts_a_program(folder: str) -> Any:
    return os.system("true")


def is_sound(folder: str) -> Any:
    return [{"label": "x", "score": Path(folder, "config.json").stat().st_size}]


def refuses(folder: str) -> Any:
    from silmu.errors import InvalidModelError

    raise InvalidModelError("no")


def splits(pattern: str, text: str) -> int:
    """How many pieces a pattern makes of a text that it repeats; for patterns not planted."""
    from tokenizers import Regex, pre_tokenizers

    pieces = pre_tokenizers.Split(Regex(pattern), "isolated")
    return len(pieces.pre_tokenize_str(text * (200_000 // len(text)) + "\x00"))


PLANTS = {
    "untyped_error": "untyped error",
    "panic": "untyped error",
    "hangs": "timeout",
    "hangs_in_c": "timeout",
    "crashes": "killed by a signal",
    "leaves": "untyped error",
    "eats_memory": "memory over budget",
    "eats_all_memory": "memory over budget",
    "opens_outside": "forbidden open",
    "follows_a_link": "forbidden open",
    "writes_into_the_folder": "forbidden open",
    "connects": "forbidden connect",
    "leaks": "canary leaked",
    "creates": "canary leaked",
    "imports": "forbidden open",
    "unpickles": "forbidden open",
    "starts_a_program": "forbidden open",
    "is_sound": "ok",
    "refuses": "typed error",
}
if sys.platform == "linux":
    PLANTS["opens_outside_unseen"] = "forbidden open"
