"""Trains one residual CNN on the same pictures with a plain PyTorch loop and with silmu, in turns.

    pip install '.[train]'
    python benchmarks/images/training.py FOLDER [--rounds 3] [--steps 120]

FOLDER has a sub-folder of pictures for each class. Every peer trains the same network on the same
rows with the same augmentation, batch size, optimizer and schedule, in a process of its own. The
plain loop is what tutorials have: a data set that opens, resizes and augments a picture when it is
asked for it, a DataLoader with two workers, forward, backward, step. Counted are pictures a second
in the second half of the steps, when what is to be warm is warm, and for silmu also how much of the
time the network waited. silmu opens pictures once, in its prepare step; its seconds, and those of
collect, are told beside. Writes results/training-<date>.json.
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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PEERS = ("plain-fp32", "plain-bf16", "silmu-fp32", "silmu-bf16")
BATCH, RATE, DECAY = 64, 3e-3, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--child")
    parser.add_argument("--run", type=Path)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.run, args.steps)))
        return
    import silmu

    with tempfile.TemporaryDirectory() as scratch:
        run = Path(scratch) / "run"
        began = time.perf_counter()
        silmu.train(
            "image-classification",
            data=args.folder,
            output=run,
            until="prepare",
            settings={"network": "resnet"},
        )
        prepared = time.perf_counter() - began
        samples: list[dict[str, Any]] = []
        order = random.Random(0)
        for number in range(args.rounds):
            for peer in order.sample(PEERS, len(PEERS)):
                command = [sys.executable, __file__, str(args.folder), "--child", peer]
                command += ["--run", str(run), "--steps", str(args.steps)]
                done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
                sample = {"round": number, **json.loads(done.stdout.splitlines()[-1])}
                sample["load"] = round(os.getloadavg()[0], 1)
                samples.append(sample)
                print(sample, file=sys.stderr)
    write(samples, args, prepared)


def write(samples: list[dict[str, Any]], args: argparse.Namespace, prepared: float) -> None:
    import torch

    def median(peer: str) -> float:
        return statistics.median(s["per_second"] for s in samples if s["peer"] == peer)

    peers = {peer: round(median(peer), 1) for peer in PEERS}
    date = datetime.now(UTC).date().isoformat()
    result = {
        "date": date,
        "command": f"python benchmarks/images/training.py {args.folder.name} "
        f"--rounds {args.rounds} --steps {args.steps}",
        "machine": {"processor": platform.processor(), "cores": os.cpu_count()},
        "versions": {"torch": torch.__version__},
        "collect and prepare, seconds": round(prepared, 1),
        "pictures a second": peers,
        "ratios": {
            "silmu fp32 / plain fp32": round(peers["silmu-fp32"] / peers["plain-fp32"], 2),
            "silmu bf16 / plain bf16": round(peers["silmu-bf16"] / peers["plain-bf16"], 2),
        },
        "samples": samples,
    }
    (HERE / "results").mkdir(exist_ok=True)
    text = json.dumps(result, indent=1)
    (HERE / "results" / f"training-{date}.json").write_text(f"{text}\n", encoding="utf-8")
    print(json.dumps(result["ratios"], indent=1), json.dumps(peers))


def child(peer: str, run: Path, steps: int) -> dict[str, Any]:
    """Trains with one peer; gives its speed."""
    import torch

    from silmu.steps.collect.dataset import Dataset
    from silmu.steps.design import images
    from silmu.steps.prepare.prepared import Prepared

    torch.set_num_threads(os.cpu_count() or 1)
    prepared = Prepared.open(run / "2-prepared", Dataset.open(run / "1-dataset"))
    library, dtype = peer.split("-")
    given = {"batch_size": BATCH, "seed": 0, "learning_rate": RATE, "weight_decay": DECAY}
    given |= {"dtype": dtype, "device": "cpu", "flip": True, "max_steps": steps, "clip": 1.0}
    given |= {"accumulation": 1, "workers": 0, "checkpoint_seconds": 1e9, "class_weights": False}
    settings = images.decided("resnet", given)
    if library == "plain":
        return {"peer": peer, "per_second": plain(prepared, settings, steps)}
    speed, waiting = with_silmu(prepared, settings)
    return {"peer": peer, "per_second": speed, "waiting": waiting}


def with_silmu(prepared: Any, settings: dict[str, Any]) -> tuple[float, float]:
    from silmu.steps.design import images
    from silmu.steps.train.images import ImageObjective
    from silmu.steps.train.loop import fit
    from silmu.steps.train.progress import Progress
    from silmu.steps.train.settings import Training

    objective = ImageObjective(images.build("resnet", prepared, settings), prepared, settings)
    training = Training.of({**settings, "epochs": 1000}, fingerprint="")
    with tempfile.TemporaryDirectory() as scratch:
        fit(objective, training, Path(scratch) / "train", progress=Progress(quiet=True))
        lines = [json.loads(line) for line in (Path(scratch) / "train/log.jsonl").open()]
    rates = [line for line in lines if "loss" in line][-(training.max_steps or 0) // 2 :]
    seconds = sum(BATCH / line["examples_per_second"] for line in rates)
    waiting = statistics.mean(line["waiting"] for line in rates)
    return round(len(rates) * BATCH / seconds, 1), round(waiting, 4)


def plain(prepared: Any, settings: dict[str, Any], steps: int) -> float:
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader

    from silmu.networks.images import ImageNetwork, ImageNetworkConfig
    from silmu.steps.collect.pictures import Pictures
    from silmu.steps.prepare.images import processor_of
    from silmu.steps.train.augment import Augmentation

    pictures, rows = Pictures(prepared.dataset), prepared.rows("train")
    targets, processor = prepared.targets("train"), processor_of(prepared)
    augmentation = Augmentation.of(settings)
    paths = [pictures.root / pictures.name(int(row)) for row in rows]
    mean, std = (torch.tensor(one)[:, None, None] for one in (processor.mean, processor.std))
    height, width = processor.size

    class Data(torch.utils.data.Dataset[Any]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            with Image.open(paths[index]) as file:
                mode = "L" if processor.channels == 1 else "RGB"
                image = file.convert(mode).resize((width, height), Image.Resampling.BILINEAR)
            pixels = np.asarray(image).reshape(height, width, processor.channels)
            pixels = augmentation.changed(pixels, random.getrandbits(60))
            tensor = torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255
            return (tensor - mean) / std, int(targets[index])

    torch.manual_seed(0)
    values = {**settings, "kind": "resnet", "image_size": processor.size}
    values |= {"num_channels": processor.channels, "num_outputs": len(prepared.labels)}
    network = ImageNetwork(ImageNetworkConfig.from_dict(values)).train()
    loader: Any = DataLoader(Data(), BATCH, shuffle=True, num_workers=2, drop_last=True)
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=settings["label_smoothing"])
    done, began = 0, 0.0
    while done < steps:
        for x, y in loader:
            if done == steps // 2:
                began = time.perf_counter()
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=settings["dtype"] == "bf16"):
                loss = criterion(network(x).float(), y)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            if done == steps:
                break
    return round((steps - steps // 2) * BATCH / (time.perf_counter() - began), 1)


if __name__ == "__main__":
    main()
