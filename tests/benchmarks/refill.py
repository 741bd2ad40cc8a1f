"""What refilling the codes that training never met saves, and what it costs.

Trains the tagger of 16 features down a path of areas and refills three of its networks
at several shares (`models.refill`), beside what they are without.

    python tests/benchmarks/refill.py --data ../shared/data

LUTs: packed LUT6 at 360 MHz.  Accuracies: on the jets of the training, which a share of
less than one jet cannot change, and on those of the validation.
"""

import argparse
import json
import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import jax.numpy as jnp
import numpy as np
from front_quality import read
from passes import counted

from firmware.lower import translate
from models.evaluate import ready, scores
from models.freeze import freeze
from models.frozen import FrozenPort
from models.plan import Goal
from models.refill import refill, shares
from models.settings import TrainConfig
from models.step import accuracy
from models.train import train
from workflows.recipes.samples import CLASSES

CLOCK_MHZ = 360.0
SIZES = (250, 700, 2000)
BELOW = (1e-9, 1e-4, 3e-4, 1e-3, 3e-3)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the jets")
    parser.add_argument("--epochs", type=int, default=100)
    args = parser.parse_args()
    ports, data, _ = read(args.data)
    words = tuple(FrozenPort(w.name, w.bits, w.signed) for w in ports)
    config = replace(
        TrainConfig(),
        epochs=args.epochs,
        batch=512,
        units=(32,),
        areas=(6.0, 4.0, 2.0, 1.0, 0.5, 0.25),
        ns_price=0.01,
    )
    front = train(config, data, goal=Goal(1000.0), seed=21).front

    def row(network: Any) -> dict[str, Any]:
        luts, _ = counted(translate(freeze(network, words, CLASSES), "net"), CLOCK_MHZ)
        found: dict[str, Any] = {"luts": luts}
        for split in ("train", "val"):
            x = jnp.asarray(getattr(data, f"words_{split}"), jnp.int32)
            label = jnp.asarray(getattr(data, f"labels_{split}"))
            good = float(accuracy(scores(ready(network), x), label))
            found[f"{split}_accuracy"] = round(good, 4)
        return found

    rows: list[dict[str, Any]] = []
    for size in SIZES:
        one = min(front, key=lambda c: abs(math.log(c.luts / size)))
        met = shares(ready(one.network), data.words_train)
        unmet = [round(float(np.mean(share == 0)), 3) for share in met]
        rows.append({"unmet": unmet, "before": row(one.network)})
        for below in BELOW:
            after = row(refill(one.network, data.words_train, below))
            rows[-1][f"{below:g}"] = after
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"networks": rows}))


if __name__ == "__main__":
    main()
