"""Where a block comes from: settings, data, tools, commit, MLflow run."""

import dataclasses
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workflows import tracking
from workflows.dataset import Dataset
from workflows.recipe import Recipe


def provenance(
    recipe: Recipe, data: Dataset, record: tracking.Track, versions: Mapping[str, str]
) -> dict[str, Any]:
    """What the manifest says of where the block comes from."""
    return {
        "recipe": recipe.name,
        "settings": recipe.digest(),
        "seed": recipe.seed,
        "data": {
            "sha256": data.hash(),
            "sources": [dataclasses.asdict(source) for source in data.sources],
        },
        "mlflow": {
            "run_id": record.run_id,
            "experiment_id": record.experiment_id,
        },
        "git": _git(),
        "tools": dict(versions),
    }


def _git() -> dict[str, Any]:
    """Commit of the source, and whether it was changed since; unknown is null."""
    here = Path(__file__).parent

    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(here), *words],
                capture_output=True,
                text=True,
                check=False,
            )
        except OSError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    status = ask("status", "--porcelain", "--untracked-files=no")
    commit = ask("rev-parse", "HEAD")
    return {"commit": commit, "dirty": None if commit is None else bool(status)}
