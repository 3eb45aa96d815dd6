"""Records what transformers 4.57.6 prints for the programs of tests/programs.md.

    PYTHONPATH=tests python -m tools.make_programs_golden [name ...]

It writes tests/golden/programs.json: for each program what it printed, or the error that ended it.
Each program runs twice, the second time with all weights slightly disturbed. One whose answer then
changes hangs on a near-tie, is no use as a reference, and is reported; nothing is written then.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch
import transformers

import programs

TESTS = Path(programs.__file__).parent
TARGET = TESTS / "golden" / "programs.json"
REFERENCE = "4.57.6"
DISTURBANCE = 3e-5  # relative, of every weight
TOLERANCE = 2e-3
DIGITS = 7
SAID = 300


def main() -> None:
    if transformers.__version__ != REFERENCE:
        sys.exit(f"this is transformers {transformers.__version__}; the reference is {REFERENCE}")
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    wanted = sys.argv[1:]
    chosen = [p for p in programs.read() if not wanted or p.name in wanted]
    found: dict[str, Any] = {}
    doubtful: list[str] = []
    for program in chosen:
        first, second = answer(program, False), answer(program, True)
        if program.note != "differs" and not close(first, second):
            doubtful.append(f"{program.name}: {first} or {second}")
        found[program.name] = first
        print(program.name, json.dumps(first, ensure_ascii=False)[:150], file=sys.stderr)
    if doubtful:
        sys.exit("\n".join(["these hang on near-ties:", *doubtful]))
    if wanted and TARGET.is_file():
        found = json.loads(TARGET.read_text(encoding="utf-8"))["programs"] | found
    names = [p.name for p in programs.read()]
    whole = {
        "transformers": REFERENCE,
        "programs": {name: found[name] for name in names if name in found},
    }
    TARGET.write_text(json.dumps(whole, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def answer(program: programs.Program, is_disturbed: bool) -> dict[str, Any]:
    """What a program prints, in a folder of its own that holds copies of its models."""
    real = transformers.pipeline

    def built(*args: Any, **kwargs: Any) -> Any:
        pipe = real(*args, **kwargs)
        if is_disturbed and not getattr(pipe.model, "is_disturbed", False):
            disturb(pipe.model)
            pipe.model.is_disturbed = True
        return pipe

    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        for name in program.models:
            shutil.copytree(TESTS / "models" / name, Path(folder) / name)
        os.chdir(folder)
        transformers.pipeline = transformers.pipelines.pipeline = built
        try:
            return {"prints": rounded(programs.plain(programs.run(program, "transformers")))}
        except Exception as error:
            text = str(error).replace(folder, "")
            return {"error": {"type": type(error).__name__, "says": text[:SAID]}}
        finally:
            transformers.pipeline = transformers.pipelines.pipeline = real
            os.chdir(before)


def disturb(model: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for _, weight in sorted(model.named_parameters()):
            noise = torch.randn(weight.shape, generator=generator) * DISTURBANCE
            weight.mul_((1 + noise).to(weight.dtype))


def rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else repr(value)
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list) else value


def close(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(close, one, other))
    return type(one) is type(other) and one == other


if __name__ == "__main__":
    main()
