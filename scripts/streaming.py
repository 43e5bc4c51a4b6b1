"""How fast images that do not fit the cache are read, against a bare pool of Pillow decoders, turn by turn.

    THP_MEM_ALLOC_ENABLE=1 python scripts/streaming.py PHOTOS --size 224 --workers 2 --turns 9

PHOTOS has a folder for each class. The pool's processes open, draft, decode and resize the JPEGs and throw the pixels
away. lnl reads batches of uint8 images ("read"), and normalises them on the CPU as well ("loader"), which on a machine
with a GPU is the GPU's work. Ratios are of images per second, and of the seconds that all processes work on an image:
other work on the machine disturbs these less. lnl's commands set THP_MEM_ALLOC_ENABLE themselves.
"""

import argparse
import random
import resource
import statistics
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from lnl.data import FolderData
from lnl.data.loader import Loader


def decode(path: Path, size: int) -> None:
    """What a bare decoder does."""
    with Image.open(path) as picture:
        picture.draft("RGB", (size, size))
        np.asarray(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))


def pool(paths: list[Path], size: int, workers: int) -> None:
    """Decodes all pictures."""
    with get_context("fork").Pool(workers) as processes:
        for _ in processes.imap_unordered(partial(decode, size=size), paths, chunksize=16):
            pass
        processes.close()
        processes.join()  # their time counts once they are gone


def read(loader: Loader) -> None:
    """Reads an epoch's images."""
    for _ in loader._read(loader.sampler.order(), 0):
        pass


def iterate(loader: Loader) -> None:
    """Makes an epoch's batches, which are not augmented."""
    for _ in loader:
        pass


def timed(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds by the clock, and seconds of work in this process and in those that it started and that are gone."""

    def worked() -> float:
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)

    clock, before = time.perf_counter(), worked()
    work()
    return time.perf_counter() - clock, worked() - before


def main() -> None:
    """Prints a line a turn, and medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    for name, default in {"size": 224, "workers": 2, "turns": 9, "images": 2000, "batch-size": 64}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with TemporaryDirectory() as cache:
        options = {"image_size": args.size, "batch_size": args.batch_size, "num_workers": args.workers}
        data = FolderData(path=args.photos, cache_dir=cache, cache_limit_gb=0, **options)
        data.setup()
        train = data.splits["train"].tolist()
        if args.images > len(train):
            parser.error(f"--images is {args.images}, but {len(train)} are for training")
        chosen = torch.tensor(random.Random(0).sample(train, args.images))
        names = data.labels.names or []
        paths = [args.photos / names[number] for number in chosen]
        loader: Any = data.training_loader(torch.device("cpu"), chosen=chosen)
        read(loader)  # finds the digests of the images
        ways = {
            "pool": lambda: pool(paths, args.size, args.workers),
            "read": lambda: read(loader),
            "loader": lambda: iterate(loader),
        }
        turns = []
        for turn in range(args.turns):
            names = list(ways)[turn % 3 :] + list(ways)[: turn % 3]
            turns.append({name: timed(ways[name]) for name in names})
            rates = (f"{name} {args.images / turns[-1][name][0]:.0f}/s" for name in ways)
            print(f"turn {turn + 1}: {', '.join(rates)}", flush=True)
    for name in ways:
        seconds, work = (statistics.median(turn[name][kind] for turn in turns) for kind in (0, 1))
        ratios = [statistics.median(turn["pool"][kind] / turn[name][kind] for turn in turns) for kind in (0, 1)]
        each = f"{args.images / seconds:.0f} images/s, {1000 * work / args.images:.2f} ms of work for each"
        print(f"{name}: {each}; against the pool {ratios[0]:.2f} by the clock, {ratios[1]:.2f} by work")


if __name__ == "__main__":
    main()
