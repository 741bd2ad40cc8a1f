"""The record of a run in MLflow: settings, curves, figures, results and the bundle.

The store is `MLFLOW_TRACKING_URI`, by default the SQLite file `mlflow.db` in the
working directory with the artifacts in `mlartifacts` beside it.  MLflow is imported
when the first run starts, for it takes seconds; nothing is sent anywhere else.
"""

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from trigger.errors import UserError

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///mlflow.db"
BATCH = 1000
"""Metrics in one call; the most that MLflow takes."""


def uri() -> str:
    """Address of the store, as MLflow understands it."""
    return os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI


def artifact_root(address: str) -> Path | None:
    """Folder of the artifacts of a SQLite store; a server knows its own."""
    prefix = "sqlite:///"
    if not address.startswith(prefix):
        return None
    return Path(address.removeprefix(prefix)).absolute().parent / "mlartifacts"


def quiet_environment() -> dict[str, str]:
    """Settings that keep MLflow from calling home, asking for git and starting jobs."""
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        "MLFLOW_LOGGING_LEVEL": "ERROR",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


@final
class Track:
    """One MLflow run, open for writing."""

    def __init__(self, client: "MlflowClient", run_id: str, experiment_id: str):
        """Wraps a run that exists; see `track`."""
        self.client = client
        self.run_id = run_id
        self.experiment_id = experiment_id

    def tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        for key, value in tags.items():
            self.client.set_tag(self.run_id, key, value)

    def curves(self, steps: Sequence[int], rows: Sequence[Mapping[str, float]]) -> None:
        """Logs one mapping of metrics a step, in batches."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(key, float(value), now, step)
            for step, row in zip(steps, rows, strict=True)
            for key, value in row.items()
        ]
        for start in range(0, len(metrics), BATCH):
            part = metrics[start : start + BATCH]
            self.client.log_batch(self.run_id, metrics=part)

    def results(self, metrics: Mapping[str, float]) -> None:
        """Logs the final numbers."""
        self.curves([0], [metrics])

    def text(self, text: str, path: str) -> None:
        """Logs a text as the artifact `path`."""
        self.client.log_text(self.run_id, text, path)

    def files(self, source: Path, path: str) -> None:
        """Logs a file, or all of a folder, under the artifact folder `path`."""
        if source.is_dir():
            self.client.log_artifacts(self.run_id, str(source), path)
        else:
            self.client.log_artifact(self.run_id, str(source), path or None)


@contextmanager
def track(
    experiment: str, name: str, params: Mapping[str, Any], tags: Mapping[str, str]
) -> Iterator[Track]:
    """Opens an MLflow run and closes it as the body ends.

    Args:
        experiment: Experiment name, made where it does not exist.
        name: Name of the run on MLflow's page.
        params: Settings, by path.
        tags: Tags to start with.

    Yields:
        The open run.  It ends as `FINISHED`, as `KILLED` on Ctrl-C or a polite kill,
        and as `FAILED` on any other exception.

    Raises:
        UserError: The store cannot be opened.
    """
    os.environ.update(quiet_environment())
    from mlflow import MlflowClient
    from mlflow.entities import Param, RunStatus
    from mlflow.exceptions import MlflowException

    for logger in ("alembic", "mlflow"):  # importing MLflow has made them talkative
        logging.getLogger(logger).setLevel(logging.ERROR)
    # MLflow keeps one store per address: a relative one would follow the first folder.
    address = uri()
    if address == DEFAULT_URI:
        address = f"sqlite:///{Path(DEFAULT_URI.removeprefix('sqlite:///')).absolute()}"
    root = artifact_root(address)
    try:
        client = MlflowClient(tracking_uri=address)
        found = client.get_experiment_by_name(experiment)
        experiment_id = (
            found.experiment_id
            if found
            else client.create_experiment(
                experiment,
                artifact_location=root and (root / experiment).as_uri(),
                # Opens MLflow's page on curves and comparisons, not on chat traces.
                tags={"mlflow.experimentKind": "custom_model_development"},
            )
        )
        run = client.create_run(experiment_id, tags=dict(tags), run_name=name)
        pairs = [Param(key, str(value)) for key, value in params.items()]
        client.log_batch(run.info.run_id, params=pairs)
    except (MlflowException, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"the MLflow store {address!r} cannot be opened: {reason}; "
            "set MLFLOW_TRACKING_URI to another one"
        ) from error
    status = RunStatus.FAILED
    try:
        yield Track(client, run.info.run_id, experiment_id)
        status = RunStatus.FINISHED
    except (KeyboardInterrupt, SystemExit):
        status = RunStatus.KILLED
        raise
    finally:
        client.set_terminated(run.info.run_id, RunStatus.to_string(status))
