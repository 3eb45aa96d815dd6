"""How long a policy takes to answer one observation: silmu, Stable-Baselines3, and numpy alone.

    python -m venv OTHER; OTHER/bin/pip install torch==2.13.0 stable-baselines3==2.9.2
    python benchmarks/reinforcement/answer.py --peer OTHER/bin/python

The same weights of a policy of two layers of 64 answer the same observations, one a call, as a
program does that steps through an environment: `pipe(observation)["action"]` of silmu, from a model
folder and without torch, `model.predict(observation, deterministic=True)` of Stable-Baselines3, and
the products in numpy, checked by nothing, as the least that Python takes. silmu's graph tells the
value too. Each runs in a process of its own, in turns, with one thread and with as many as there
are cores. Actions must be the same. Writes results/<date>-answer.json, and the table to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
SHAPES = {"4 numbers to one of 2": (4, 2, False), "17 numbers to 6 numbers": (17, 6, True)}
"""Of CartPole and of Walker2d: how many numbers are read and told, and whether it is a box."""
HIDDEN, SEEN, WARM, CALLS = 64, 500, 500, 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="python that has stable-baselines3")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("WHO", "FOLDER", "THREADS"))
    args = parser.parse_args()
    if args.child:
        who, folder, threads = args.child
        print(json.dumps(child(who, Path(folder), int(threads))))
        return
    date = datetime.now(UTC).date().isoformat()
    cores = os.cpu_count() or 1
    result: dict[str, Any] = {
        "date": date,
        "command": "python benchmarks/reinforcement/answer.py --peer OTHER/bin/python",
        "machine": {"processor": processor(), "cores": cores, "python": platform.python_version()},
        "rounds": args.rounds,
        "calls": CALLS,
        "microseconds": {},
    }
    with tempfile.TemporaryDirectory() as scratch:
        for name, shape in SHAPES.items():
            folder = Path(scratch) / str(shape[0])
            write(folder, *shape)
            result["microseconds"][name] = measured(folder, args, cores, result)
    output = args.output or HERE / "results" / f"{date}-answer.json"
    output.parent.mkdir(exist_ok=True)
    output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(result))


def measured(
    folder: Path, args: argparse.Namespace, cores: int, result: dict[str, Any]
) -> dict[str, Any]:
    """All sides in turns; the median of the rounds' medians, and of their 95th percentiles."""
    sides = [("silmu", 1), ("silmu", cores), ("numpy", 1)]
    sides += [("stable-baselines3", threads) for threads in (1, cores)] if args.peer else []
    rounds: dict[str, list[dict[str, Any]]] = {}
    order = random.Random(0)
    for _ in range(args.rounds):
        for who, threads in order.sample(sides, len(sides)):
            python = str(args.peer) if who == "stable-baselines3" else sys.executable
            done = subprocess.run(
                [python, __file__, "--child", who, str(folder), str(threads)],
                env={**os.environ, "OMP_NUM_THREADS": str(threads)},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                sys.exit(f"{who} ended with {done.returncode}:\n{done.stderr}")
            found = json.loads(done.stdout.splitlines()[-1])
            result.setdefault("versions", {}).update(found.pop("versions"))
            rounds.setdefault(f"{who}, {threads} thread{'s' * (threads > 1)}", []).append(found)
    first = next(iter(rounds.values()))[0]["actions"]
    for who, several in rounds.items():
        if not np.allclose(several[0].pop("actions"), first, atol=1e-4):
            sys.exit(f"{who} gives other actions")
    return {
        who: {
            key: round(statistics.median(one[key] for one in several), 2)
            for key in ("median", "p95")
        }
        for who, several in sorted(rounds.items())
    }


# ── one side, in its own process ───────────────────────────────────────────────────────────────


def child(who: str, folder: Path, threads: int) -> dict[str, Any]:
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    with np.load(folder / "weights.npz") as file:
        weights = {name: file[name] for name in file}
    made = {"silmu": of_silmu, "stable-baselines3": of_sb3, "numpy": of_numpy}[who]
    act, versions = made(folder, about, weights, threads)
    return {**timed(act, observations(about["inputs"])), "versions": versions}


def timed(act: Callable[[Any], Any], seen: list[Any]) -> dict[str, Any]:
    actions = [np.asarray(act(one)).tolist() for one in seen[:100]]
    for i in range(WARM):
        act(seen[i % SEEN])
    spent = np.empty(CALLS)
    for i in range(CALLS):
        one = seen[i % SEEN]
        began = time.perf_counter_ns()
        act(one)
        spent[i] = time.perf_counter_ns() - began
    median, high = np.quantile(spent / 1000, [0.5, 0.95]).tolist()
    return {"median": median, "p95": high, "actions": actions}


def of_silmu(folder: Path, about: Any, weights: Any, threads: int) -> Any:
    import onnxruntime

    import silmu

    pipe = silmu.pipeline("reinforcement-learning", str(folder))
    assert "torch" not in sys.modules
    versions = {"silmu": silmu.__version__, "onnxruntime": onnxruntime.__version__}
    return lambda observation: pipe(observation)["action"], versions


def of_sb3(folder: Path, about: Any, weights: Any, threads: int) -> Any:
    import gymnasium
    import stable_baselines3
    import torch

    torch.set_num_threads(threads)
    one = gymnasium.spaces.Box(-np.inf, np.inf, (about["inputs"],), np.float32)
    other: Any = gymnasium.spaces.Discrete(about["outputs"])
    if about["is_box"]:
        other = gymnasium.spaces.Box(-1, 1, (about["outputs"],), np.float32)

    class Stub(gymnasium.Env[Any, Any]):
        observation_space = one
        action_space = other

    model = stable_baselines3.PPO("MlpPolicy", Stub(), device="cpu")
    state = model.policy.state_dict()
    names = {
        "mlp_extractor.policy_net": "body",
        "mlp_extractor.value_net": "value_body",
        "action_net": "head",
        "value_net": "value_head",
    }
    for name in state:
        for theirs, ours in names.items():
            if name.startswith(theirs):
                state[name] = torch.tensor(weights[name.replace(theirs, ours, 1)])
    model.policy.load_state_dict(state)
    versions = {"stable-baselines3": stable_baselines3.__version__, "torch": torch.__version__}
    return lambda observation: model.predict(observation, deterministic=True)[0], versions


def of_numpy(folder: Path, about: Any, weights: Any, threads: int) -> Any:
    layers = [(weights[f"{n}.weight"].T.copy(), weights[f"{n}.bias"]) for n in ("body.0", "body.2")]
    head, bias = weights["head.weight"].T.copy(), weights["head.bias"]

    def act(observation: Any) -> Any:
        x = observation
        for weight, shift in layers:
            x = np.tanh(x @ weight + shift)
        found = x @ head + bias
        return np.clip(found, -1, 1) if about["is_box"] else int(found.argmax())

    return act, {"numpy": np.__version__}


# ── the policy ─────────────────────────────────────────────────────────────────────────────────


def observations(inputs: int) -> list[NDArray[np.float32]]:
    return list(np.random.default_rng(1).normal(0, 1, (SEEN, inputs)).astype(np.float32))


def write(folder: Path, inputs: int, outputs: int, is_box: bool) -> None:
    """A model folder of silmu, and the same weights for the others."""
    from safetensors.numpy import save_file

    from silmu.runtime.policy import PolicyProcessor
    from silmu.runtime.spaces import Space

    folder.mkdir()
    random = np.random.default_rng(0)
    weights: dict[str, NDArray[np.float32]] = {}
    for body, head, outer in (("body", "head", outputs), ("value_body", "value_head", 1)):
        for name, a, b in (
            (f"{body}.0", HIDDEN, inputs), (f"{body}.2", HIDDEN, HIDDEN), (head, outer, HIDDEN)
        ):  # fmt: skip
            weights[f"{name}.weight"] = random.normal(0, b**-0.5, (a, b)).astype(np.float32)
            weights[f"{name}.bias"] = random.normal(0, 0.1, a).astype(np.float32)
    own = {**weights, "value_scale": np.ones((), np.float32)}
    own |= {"mean": np.zeros(inputs, np.float32), "deviation": np.ones(inputs, np.float32)}
    seen = box(inputs, np.inf)
    takes = box(outputs, 1.0) if is_box else Space("discrete", n=outputs)
    if is_box:
        own |= {name: np.zeros(outputs, np.float32) for name in ("log_std", "shift")}
        own["scale"] = np.ones(outputs, np.float32)
    save_file(own, folder / "model.safetensors")
    about = {
        "model_type": "silmu-policy",
        "architectures": ["SilmuForReinforcementLearning"],
        "kind": "mlp",
        "algorithm": "ppo",
        "actions": takes.kind,
        "action_sizes": [outputs],
        "observation_size": inputs,
        "image": None,
        "low": [-1.0] * outputs * is_box,
        "high": [1.0] * outputs * is_box,
        "hidden_size": HIDDEN,
        "num_layers": 2,
        "activation": "tanh",
        "normalise": True,
    }
    (folder / "config.json").write_text(json.dumps(about), encoding="utf-8")
    (folder / "processor.json").write_bytes(PolicyProcessor(seen, takes).to_bytes())
    np.savez(folder / "weights.npz", **weights)
    about = {"inputs": inputs, "outputs": outputs, "is_box": is_box}
    (folder / "about.json").write_text(json.dumps(about), encoding="utf-8")


def box(size: int, bound: float) -> Any:
    from silmu.runtime.spaces import Space

    ends = np.full(size, bound)
    return Space("box", shape=(size,), low=-ends, high=ends, dtype="float32")


def table(result: dict[str, Any]) -> str:
    lines = ["| policy | side | median | 95th percentile |", "| --- | --- | ---: | ---: |"]
    for name, sides in result["microseconds"].items():
        for who, one in sides.items():
            lines.append(f"| {name} | {who} | {one['median']:.0f} µs | {one['p95']:.0f} µs |")
    return "\n".join(lines)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


if __name__ == "__main__":
    main()
