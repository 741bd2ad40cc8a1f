"""What was compiled is kept for the next process, and for no other processor."""

import os
import subprocess
import sys
from pathlib import Path

from models import machine

DIR = "JAX_COMPILATION_CACHE_DIR"
TRAIN = """
import os
from models.machine import keep_programs
keep_programs(os.environ)
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
import jax, jax.numpy as jnp
told = []
jax.monitoring.register_event_listener(lambda name, **_: told.append(name))
print(jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones(7)))
print(sum(name.endswith("cache_hits") for name in told))
"""


def test_the_second_process_finds_what_the_first_compiled(tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != DIR}
    environment = kept | {
        "XDG_CACHE_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    first, second = (
        subprocess.run(
            [sys.executable, "-c", TRAIN],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for _ in range(2)
    )
    assert first[0] == second[0]
    assert int(first[1]) == 0
    assert int(second[1]) > 0


def test_programs_lie_in_the_cache_of_the_user_by_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here, devices, elsewhere = {}, {"XLA_FLAGS": "--four-devices"}, {}
    machine.keep_programs(here)
    machine.keep_programs(devices)
    monkeypatch.setattr(machine, "processor", lambda: b"another")
    machine.keep_programs(elsewhere)
    folders = {Path(kept[DIR]) for kept in (here, devices, elsewhere)}
    assert len(folders) == 3
    assert {folder.parent for folder in folders} == {tmp_path / "jetlut"}
    # JAX makes them once there is something to keep.
    assert not list(tmp_path.iterdir())


def test_a_folder_that_the_user_names_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment = {DIR: "elsewhere"}
    machine.keep_programs(environment)
    assert environment == {DIR: "elsewhere"}


def test_where_nothing_can_be_written_nothing_is_kept(monkeypatch):
    # Of a test that runs as root no folder is safe; a system mounted read-only is.
    monkeypatch.setattr(os, "access", lambda folder, mode: False)
    environment = {}
    machine.keep_programs(environment)
    assert environment == {}


def test_without_a_home_nothing_is_kept(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(machine, "cache", nowhere)
    environment = {}
    machine.keep_programs(environment)
    assert environment == {}
