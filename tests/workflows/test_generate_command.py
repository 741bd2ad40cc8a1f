"""`jetlut data generate`: what it prints, what it refuses, and what an interrupt leaves."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workflows.cli import main

HAVE = "no {0}: pip install 'jetlut[generate]'"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def need_packages():
    for name in ("pythia8mc", "fastjet"):
        pytest.importorskip(name, reason=HAVE.format(name))


def test_it_ends_with_counts_seconds_file_and_hash(capsys):
    need_packages()
    words = (
        "data generate --n-jets 12 --classes w,q --seed 3 --processes 1 --out a.root"
    )
    assert main(words.split()) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    with open("a.root", "rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    assert lines[0].startswith("12 jets (w 6, q 6) in ")
    assert lines[1].endswith(" jets/s, 1 process")
    assert lines[2] == f"a.root, SHA-256 {sha256}"
    assert printed.err.splitlines()[-1] == "12/12 jets"
    assert main(words.split()) == 2
    assert "'a.root' exists already; replace it by --force" in capsys.readouterr().err
    assert main([*words.split(), "--force", "--format", "rntuple"]) == 0


def test_without_the_packages_it_says_how_to_get_them(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "fastjet", None)
    assert main(["data", "generate", "--n-jets", "10", "--out", "a.root"]) == 2
    told = capsys.readouterr().err
    assert told.endswith("fastjet cannot be found; pip install 'jetlut[generate]'\n")
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--classes g,top", "no class 'top' of jets; the most alike of g, q, t, w, z"),
        ("--pt-min 1200 --pt-max 900", "range of the jets' pT is empty"),
        ("--pileup -3", "from 0 to 1000, got -3"),
        (
            "--out nowhere/a.root",
            "there is no folder 'nowhere' for the output 'a.root'",
        ),
        ("--compression rar:2", "no compression 'rar'; the most alike are"),
        ("--processes 0", "at least 1 process is needed, got 0"),
        ("--detector l2", "invalid choice: 'l2'"),
        ("--n-jets many", "invalid int value: 'many'"),
    ],
)
def test_a_mistake_is_one_sentence_and_status_2(words, sentence, capsys, tmp_path):
    need_packages()
    given = ["data", "generate", "--n-jets", "50", "--out", "a.root", *words.split()]
    assert main(given) == 2
    told = capsys.readouterr().err
    assert sentence in told
    assert told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_help_shows_an_example_with_its_output(capsys):
    assert main(["data", "generate", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "  $ jetlut data generate --n-jets 2000 --seed 11 --out jets.root\n" in shown
    assert "  jets.root, SHA-256 " in shown


def test_ctrl_c_leaves_neither_file_nor_process(tmp_path):
    need_packages()
    words = "data generate --n-jets 100000 --processes 2 --out a.root"
    code = "import sys; from workflows.cli import entry; entry()"
    job = subprocess.Popen(
        [sys.executable, "-c", code, *words.split()],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes to a group; ours is spared
        # as a terminal does; a test that itself runs in the background ignores it
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".a.root.new-*")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(3)  # for the workers to be under way
        os.killpg(job.pid, signal.SIGINT)
        told = job.communicate(timeout=60)[1]
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    assert job.returncode == 130
    assert "jetlut data: interrupted, nothing kept" in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []
    # What multiprocessing keeps to clear up after itself takes a moment longer.
    deadline = time.monotonic() + 20
    while (left := living(job.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


def living(group):
    """Processes of a group that have not ended, as Linux lists them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = entry.read_text().rpartition(")")[2].split()[:3]
        except (OSError, ValueError):
            continue  # has ended since it was listed
        if int(of_group) == group and state not in "ZX":
            found.append(entry.parent.name)
    return found
