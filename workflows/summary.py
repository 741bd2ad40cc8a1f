"""`summary.json`: the result of a run in one flat object, for the next program.

Conventions
-----------
- A key never changes its meaning; a new or changed key raises `SCHEMA_VERSION`.
- `luts`, `ffs` and `latency_ns` are estimates for an open 6-input-LUT fabric;
  `latency_cycles` is what the simulated Verilog showed, or what the schedule says
  where no simulator was found.
- A count in `mismatches` is `null` where that check was not run.
"""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, final

SCHEMA_VERSION = 2


@final
@dataclass(frozen=True)
class Mismatches:
    """Words on which a path differs from the trained network; `None`: not run."""

    numpy: int | None
    cpp: int | None
    verilog: int | None


@final
@dataclass(frozen=True)
class Summary:
    """The keys of `summary.json`, in its order.

    Attributes:
        accuracy: Share of the test jets whose class is right, from the integer scores.
        auc: Area under the one-against-the-rest ROC, by class.
        events_checked: Words compared on every path: test split, random and corners.
        train_seconds: Wall time of the training alone.
        samples_per_second: Training jets times passes, by `train_seconds`.
        working_points: By signal class, the integer threshold and what passes it; as in
            `physics.json`.
        refill: Of a network whose rare codes were refilled (`network.refill`), what it
            was before and after: `metric` on validation and test, and LUTs.
    """

    recipe: str
    accuracy: float
    auc: dict[str, float]
    luts: int
    ffs: int
    latency_cycles: int
    latency_ns: float
    clock_mhz: float
    ii: int
    mismatches: Mismatches
    events_checked: int
    train_seconds: float
    samples_per_second: float
    bundle: str
    mlflow_run_id: str
    seed: int
    working_points: list[dict[str, Any]] = field(default_factory=list)
    refill: dict[str, Any] | None = None


def to_json(summary: Summary, *, indent: int | None = None) -> str:
    """The summary as JSON, `schema_version` first; one line unless indented."""
    return json.dumps(
        {"schema_version": SCHEMA_VERSION} | asdict(summary), indent=indent
    )
