"""The output folder: complete or not there, whatever happens to the run."""

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from trigger.errors import UserError
from workflows.folder import results


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


def write_run(folder, mark):
    (folder / "summary.json").write_text(json.dumps({"bundle": "x/b_v1_0_0"}))
    (folder / "report.html").write_text(mark)
    for name in ("physics.json", "recipe.json"):
        (folder / name).write_text("{}")
    for name in ("b_v1_0_0", "figures"):
        (folder / name).mkdir()
        (folder / name / "inside").touch()


def test_results_appear_when_complete_and_not_before(tmp_path):
    target = tmp_path / "runs" / "one"
    with results(target) as writing:
        write_run(writing, "first")
        assert not target.exists()
    assert (target / "report.html").read_text() == "first"
    assert names(target.parent) == ["one"]


def test_a_second_run_replaces_the_first(tmp_path):
    for mark in ("first", "second"):
        with results(tmp_path / "one") as writing:
            write_run(writing, mark)
    assert (tmp_path / "one" / "report.html").read_text() == "second"
    assert names(tmp_path) == ["one"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, UserError])
def test_a_failed_run_leaves_the_earlier_results_and_nothing_else(tmp_path, error):
    with results(tmp_path / "one") as writing:
        write_run(writing, "first")

    def failing_run():
        with results(tmp_path / "one") as writing:
            write_run(writing, "second")
            raise error

    with pytest.raises(error):
        failing_run()
    assert (tmp_path / "one" / "report.html").read_text() == "first"
    assert names(tmp_path) == ["one"]


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "one").mkdir()
    with results(tmp_path / "one") as writing:
        write_run(writing, "first")
    assert (tmp_path / "one" / "report.html").exists()


def test_what_no_run_has_written_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(
        UserError, match=r"holds 'thesis.tex', which no run has written"
    ):
        results(tmp_path).__enter__()
    with results(tmp_path / "one") as writing:
        write_run(writing, "first")
    (tmp_path / "one" / "notes.txt").touch()
    with pytest.raises(UserError, match=r"holds 'notes.txt'"):
        results(tmp_path / "one").__enter__()


def test_a_place_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file; --out names a folder"):
        results(tmp_path / "file").__enter__()
    with pytest.raises(UserError, match="cannot be written"):
        results(tmp_path / "file" / "below").__enter__()
    if Path("/proc/self").is_dir():
        with pytest.raises(UserError, match="'/proc/run' cannot be written"):
            results(Path("/proc/run")).__enter__()


def test_the_next_run_removes_the_remains_of_a_killed_one(tmp_path):
    program = textwrap.dedent("""
        import pathlib, sys, time
        from workflows.folder import results
        with results(pathlib.Path(sys.argv[1])) as writing:
            (writing / "half").touch()
            print("writing", flush=True)
            time.sleep(60)
    """)
    target = tmp_path / "one"
    child = subprocess.Popen(
        [sys.executable, "-c", program, str(target)], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    with results(target) as writing:  # beside a living run: both go on
        write_run(writing, "mine")
    assert len(names(tmp_path)) == 2
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with results(target) as writing:
        write_run(writing, "next")
    assert names(tmp_path) == ["one"]


def test_a_swap_that_was_cut_in_half_is_mended(tmp_path):
    with results(tmp_path / "one") as writing:
        write_run(writing, "first")
    (tmp_path / "one").rename(tmp_path / ".one.old")
    with pytest.raises(RuntimeError), results(tmp_path / "one"):
        raise RuntimeError
    assert (tmp_path / "one" / "report.html").read_text() == "first"
