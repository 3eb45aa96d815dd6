"""A small training of a policy from end to end, as a program that other tests kill, and compare."""

from __future__ import annotations

import importlib

import table_child
import torch
import train_child

MODULES = ["onnx", "onnxruntime", "gymnasium", "tomli_w", "silmu.networks.policies"]
MODULES += ["silmu.steps.collect.environments", "silmu.steps.design.reinforcement"]
MODULES += [
    "silmu.steps.train.reinforcement.learning",
    "silmu.steps.train.reinforcement.ppo",
    "silmu.steps.train.reinforcement.dqn",
    "silmu.steps.train.reinforcement.sac",
    "silmu.tasks.reinforcement_learning",
]
SMALL = {
    **{"algorithm": "ppo", "hidden_size": 8, "total_steps": 512, "num_environments": 2},
    **{"num_steps": 32, "batch_size": 32, "epochs": 2, "evaluations": 4, "judged_episodes": 2},
    "checkpoint_seconds": 0.0,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for name in MODULES:
        importlib.import_module(name)

    train_child.serve(
        lambda arguments: table_child.main(
            arguments,
            task="reinforcement-learning",
            # Only numbers between bounds are actions of sac's.
            data=lambda: "Pendulum-v1" if "sac" in arguments[0] else "CartPole-v1",
            target=None,
            small=SMALL,
        )
    )
