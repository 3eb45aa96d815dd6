"""How fast PPO learns CartPole-v1: silmu beside Stable-Baselines3 and SBX with rl-zoo's settings.

    python -m venv OTHER
    OTHER/bin/pip install torch==2.13.0 stable-baselines3==2.9.2 sbx-rl==0.28.0
    python benchmarks/reinforcement/cartpole.py --peer OTHER/bin/python

Two things, each side in a process of its own, in turns, seed by seed, with one thread and with as
many as there are cores. `steps`: environment steps a second of training with equal settings, those
of rl-zoo (8 environments, 32 steps, batches of 256, 20 epochs). `target`: seconds of training until
100 episodes of their own, played every 5,120 steps, have a mean return of 475; the playing is not
counted. There silmu has its own defaults and the others those of rl-zoo, which were tuned for this
environment. SBX, Stable-Baselines3's algorithms in JAX, compiles what it computes: that counts in
`target`, and in `steps` it is done before. Writes results/<date>-cartpole.json, and the table to
stdout.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from answer import processor

HERE = Path(__file__).resolve().parent
TARGET, EPISODES, EVERY = 475.0, 100, 5_120
RATED = 100_000
"""Environment steps of a training whose speed is measured."""
ZOO: dict[str, Any] = {
    **{"n_steps": 32, "batch_size": 256, "n_epochs": 20, "gamma": 0.98, "gae_lambda": 0.8},
    **{"ent_coef": 0.0, "vf_coef": 0.5, "max_grad_norm": 0.5},
}
"""Of https://github.com/DLR-RM/rl-baselines3-zoo, for PPO here; rate and clip range fall to 0."""
SAME = {
    **{"total_steps": RATED, "num_environments": 8, "num_steps": 32, "batch_size": 256},
    **{"epochs": 20, "gamma": 0.98, "gae_lambda": 0.8, "learning_rate": 1e-3},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", type=Path, help="python that has stable-baselines3 and sbx")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--output", type=Path)
    parser.add_argument("--child", nargs=4, metavar=("WHO", "WHAT", "THREADS", "SEED"))
    args = parser.parse_args()
    if args.child:
        who, what, threads, seed = args.child
        print(json.dumps(SIDES[who](what, int(threads), int(seed))))
        return
    others = dict.fromkeys(LIBRARIES, str(args.peer)) if args.peer else {}
    pythons = {"silmu": sys.executable, **others}
    cores = os.cpu_count() or 1
    found: dict[str, dict[str, list[float]]] = {}
    for seed in args.seeds:
        for threads in sorted({1, cores}):
            for what in ("steps", "target"):
                for who in pythons:
                    value = child(pythons[who], who, what, threads, seed)
                    found.setdefault(what, {}).setdefault(f"{who}, {threads}", []).append(value)
                    print(what, who, threads, seed, round(value, 2), file=sys.stderr, flush=True)
    date = datetime.now(UTC).date().isoformat()
    result = {
        "date": date,
        "command": "python benchmarks/reinforcement/cartpole.py --peer OTHER/bin/python",
        "machine": {"processor": processor(), "cores": cores, "python": platform.python_version()},
        "seeds": args.seeds,
        **found,
    }
    output = args.output or HERE / "results" / f"{date}-cartpole.json"
    output.write_text(json.dumps(result, indent=1) + "\n")
    print("| | " + " | ".join(next(iter(found.values()))) + " |")
    print("| --- |" + " ---: |" * len(next(iter(found.values()))))
    for what, sides in found.items():
        told = [statistics.median(values) for values in sides.values()]
        words = [f"{one:,.0f} steps/s" if what == "steps" else f"{one:.2f} s" for one in told]
        print(f"| {what} | " + " | ".join(words) + " |")


def child(python: str, who: str, what: str, threads: int, seed: int) -> float:
    command = [python, __file__, "--child", who, what, str(threads), str(seed)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "CUDA_VISIBLE_DEVICES": ""}
    if threads == 1:
        environment["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def silmu(what: str, threads: int, seed: int) -> float:
    import torch

    from silmu.steps.collect import environments as collected
    from silmu.steps.prepare import environments as prepared
    from silmu.steps.train.reinforcement import algorithms
    from silmu.steps.train.reinforcement.judging import Judge

    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as place:
        environment = collected.collect("CartPole-v1", Path(place) / "1")
        ready = prepared.prepare(environment, Path(place) / "2", {})
        given = SAME if what == "steps" else {"total_steps": 100_000}
        settings = algorithms.decided("ppo", given, ready)
        learns = algorithms.begun("mlp", "ppo", settings, ready, seed)
        if what == "steps":
            learns.iterate()
            done, start = learns.steps, time.perf_counter()
            while learns.steps < RATED:
                learns.iterate()
            return (learns.steps - done) / (time.perf_counter() - start)
        judge, seconds, due = Judge(ready, EPISODES, seed), 0.0, EVERY
        while learns.steps < learns.total_steps:
            start = time.perf_counter()
            learns.iterate()
            seconds += time.perf_counter() - start
            if learns.steps >= due:
                due += EVERY
                if judge(learns.policy()).mean() >= TARGET:
                    return seconds
    return float("inf")


def other(library: str, what: str, threads: int, seed: int) -> float:
    import torch
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy

    torch.set_num_threads(threads)
    copies = make_vec_env("CartPole-v1", 8, seed=seed)
    rates = {"learning_rate": lambda left: 1e-3 * left, "clip_range": lambda left: 0.2 * left}
    kind = importlib.import_module(library).PPO
    model = kind("MlpPolicy", copies, seed=seed, device="cpu", **ZOO, **rates)
    if what == "steps":
        model.learn(256)
        start = time.perf_counter()
        model.learn(RATED)
        return RATED / (time.perf_counter() - start)
    played = make_vec_env("CartPole-v1", 8, seed=10_000 + seed)

    class Reached(BaseCallback):
        began, playing, due, seconds = 0.0, 0.0, EVERY, float("inf")

        def _on_training_start(self) -> None:
            self.began = time.perf_counter()

        def _on_step(self) -> bool:
            if self.num_timesteps < self.due:
                return True
            self.due += EVERY
            now = time.perf_counter()
            mean, _ = evaluate_policy(self.model, played, EPISODES, deterministic=True)
            if np.mean(mean) >= TARGET:
                self.seconds = now - self.began - self.playing
                return False
            self.playing += time.perf_counter() - now
            return True

    reached = Reached()
    model.learn(100_000, callback=reached)
    return reached.seconds


LIBRARIES = {"sb3": "stable_baselines3", "sbx": "sbx"}
SIDES = {"silmu": silmu, **{who: partial(other, name) for who, name in LIBRARIES.items()}}

if __name__ == "__main__":
    main()
