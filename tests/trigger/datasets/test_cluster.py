import dataclasses
import functools
import importlib
import logging
import os
import re
import socket
import time
from types import SimpleNamespace
from typing import Any, cast

import awkward as ak
import dask.config
import numpy as np
import pytest
from distributed import LocalCluster
from equal_samples import assert_same

from trigger.datasets import cluster, read
from trigger.datasets.card import Column, Cut, ParticleList
from trigger.errors import UserError

# Whatever stalls is told within a minute, not after the ten that a user waits.
read_on_cluster = functools.partial(cluster.read_on_cluster, patience=60.0)


@pytest.fixture(scope="module")
def threads():
    """The address of a cluster of two threads of this process."""
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as running:
        yield str(cast("Any", running).scheduler_address)


@pytest.fixture(scope="module")
def processes():
    """The address of a cluster of two processes, which a death does not wear out."""
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        ) as running,
    ):
        yield str(cast("Any", running).scheduler_address)


def many_events(first, count=300):
    """Collisions of no to three jets, each jet with some particles."""
    rng = np.random.default_rng(first)
    jets = rng.integers(0, 4, count)
    owner = [np.repeat(np.arange(n), rng.integers(0, 5, n)) for n in jets]
    total, particles = jets.sum(), [len(one) for one in owner]

    def lists(values, counts, kind: Any = np.float32):
        return ak.unflatten(values.astype(kind), counts)

    return {
        "run": np.full(count, 1, np.uint32),
        "luminosityBlock": np.full(count, 7, np.uint32),
        "event": np.arange(first, first + count, dtype=np.uint64),
        "Jet_pt": lists(rng.uniform(20, 200, total), jets),
        "Jet_eta": lists(rng.normal(size=total), jets),
        "Jet_phi": lists(rng.normal(size=total), jets),
        "Jet_label": lists(rng.integers(0, 2, total), jets, np.int8),
        "PFCand_pt": lists(rng.exponential(size=sum(particles)), particles),
        "PFCand_jetIdx": lists(np.concatenate(owner), particles, np.int16),
    }


@pytest.fixture
def rich(card):
    """The card with a cut, another unit, and particles."""
    particles = ParticleList((Column("pt", "PFCand_pt", "GeV"),), index="PFCand_jetIdx")
    columns = (*card.columns, Column("pt_mev", "Jet_pt", "MeV", scale=1000.0))
    selection = (Cut("pt", ">", 30.0),)
    return dataclasses.replace(
        card, columns=columns, selection=selection, constituents=particles
    )


@pytest.mark.parametrize("kind", ["ttree", "rntuple"])
@pytest.mark.parametrize("step", [60, 50_000])
def test_what_threads_read_is_what_the_serial_read_gives(
    write, rich, threads, kind, step
):
    branches = [many_events(first) for first in (0, 300, 600)]
    if kind == "rntuple":
        branches = [
            {key.replace("_", "."): value for key, value in one.items()}
            for one in branches
        ]
    files = [write(b, f"{i}.root", kind=kind) for i, b in enumerate(branches)]
    expected = read.read(rich, files, step=step)
    assert len(expected.objects) > 500
    assert_same(read_on_cluster(rich, files, scheduler=threads, step=step), expected)


def test_processes_of_this_machine_read_the_same_without_any_scheduler(write, rich):
    files = [write(many_events(first), f"{first}.root") for first in (0, 300)]
    found = read_on_cluster(rich, files, workers=2, step=100)
    assert_same(found, read.read(rich, files, step=100))
    assert found.objects.attrs == {}


def message(call, *args, **options):
    with pytest.raises(UserError) as error:
        call(*args, **options)
    return str(error.value)


def spoil(write, name):
    """A file that is bad in its second half, or as a whole."""
    events = many_events(900)
    if name == "nan":
        pt = ak.to_numpy(ak.flatten(events["Jet_pt"])).copy()
        pt[-1] = np.nan
        events["Jet_pt"] = ak.unflatten(pt, ak.num(events["Jet_pt"]))
    elif name == "type":
        events["Jet_label"] = ak.values_astype(events["Jet_label"], np.int32)
    elif name == "branch":
        del events["Jet_eta"]
    path = write(events, f"{name}.root")
    if name == "truncated":
        with open(path, "r+b") as file:
            file.truncate(1000)
    return path


BAD = ["nan", "type", "branch", "truncated"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_told_in_the_words_of_the_serial_read(write, rich, threads, name):
    files = [write(many_events(0)), spoil(write, name), spoil(write, "branch")]
    expected = message(read.read, rich, files, step=50)
    assert name in expected
    assert message(read_on_cluster, rich, files, scheduler=threads, step=50) == expected


def test_bad_files_are_skipped_as_the_serial_read_skips_them(write, rich, threads):
    # the first is bad at its end: the types of the second then count for the rest
    names = ["nan", "type", "branch", "truncated"]
    files = [spoil(write, name) for name in names] + [
        write(many_events(first), f"{first}.root") for first in (0, 300)
    ]
    options = {"step": 50, "on_bad_file": "skip"}
    expected = read.read(rich, files, **options)
    assert [s.name for s in expected.skipped] == [
        "nan.root",
        "branch.root",
        "truncated.root",
        "0.root",
        "300.root",
    ]
    assert_same(read_on_cluster(rich, files, scheduler=threads, **options), expected)


def test_all_files_bad_and_all_jets_cut_away_are_told_alike(write, rich, threads):
    bad = [spoil(write, name) for name in ("branch", "truncated")]
    expected = message(read.read, rich, bad, on_bad_file="skip")
    found = message(read_on_cluster, rich, bad, on_bad_file="skip", scheduler=threads)
    assert found == expected
    none = dataclasses.replace(rich, selection=(Cut("pt", ">", 1e6),))
    files = [write(many_events(first), f"{first}.root") for first in range(5)]
    expected = message(read.read, none, files)
    assert message(read_on_cluster, none, files, scheduler=threads) == expected


def test_a_worker_that_dies_is_told_with_its_file_and_range(
    write, rich, processes, monkeypatch
):
    files = [write(many_events(first), f"{first}.root") for first in (0, 300)]
    target = os.path.realpath(files[1])
    place = read.ranges(rich, files[1], step=100)[1]

    def deadly(where, card):
        if os.path.realpath(where[0]) == target and where[1:] == place:
            os._exit(1)
        return importlib.import_module("trigger.datasets.cluster")._part(where, card)

    monkeypatch.setattr(cluster, "_part", deadly)
    start = time.monotonic()
    found = message(read_on_cluster, rich, files, scheduler=processes, step=100)
    assert found.startswith(
        f"the worker that read entries {place[0]} to {place[1]} of file {files[1]!r} "
        "died; it was killed, often for want of memory"
    )
    assert time.monotonic() - start < 30  # and not for as long as patience lasts
    # and the cluster lives on
    monkeypatch.undo()
    assert_same(
        read_on_cluster(rich, files, scheduler=processes, step=100),
        read.read(rich, files, step=100),
    )


def test_where_workers_have_gone_what_is_under_way_is_waited_for(monkeypatch):
    threads = iter([3, 1, 1, 1, 1, 1])

    class Future:  # SimpleNamespace has no hash
        def __init__(self, piece):
            self.result = lambda: {"piece": piece}

    client = SimpleNamespace(
        nthreads=lambda: {"worker": next(threads)},
        compute=lambda piece, pure: Future(piece),
    )
    work = SimpleNamespace(to_delayed=lambda: range(5))
    under_way = []

    def wait(running, **_):
        under_way.append(len(running))
        return SimpleNamespace(done=running[:1])

    monkeypatch.setattr(cluster, "wait", wait)
    monkeypatch.setattr(cluster, "_unpack", lambda parcel: parcel)
    found = cluster._run(client, work, ["part"] * 5, False, 1.0)
    assert [one["piece"] for one in found] == [0, 1, 2, 3, 4]
    assert under_way == [3, 2, 1, 1, 1]


def test_a_worker_that_hangs_is_told_when_patience_ends(
    write, rich, threads, monkeypatch
):
    path = write(many_events(0))

    def slow(where, card):
        time.sleep(1.5)
        raise AssertionError("nobody waits for this")

    monkeypatch.setattr(cluster, "_part", slow)
    found = message(read_on_cluster, rich, [path], scheduler=threads, patience=0.5)
    assert found.startswith(
        f"entries 0 to 300 of file {path!r} is not read after 0.5 s"
    )


def test_workers_of_another_version_are_refused(write, card, events, threads):
    versions = iter(["theirs", "ours"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "code_version", lambda: next(versions))
        found = message(read_on_cluster, card, [write(events)], scheduler=threads)
    assert found.startswith("the workers run another version of jetlut")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "missing port number"),
        ("foo://host:1", "unknown address scheme 'foo'"),
        ("tcp://127.0.0.1:1", "Timed out trying to connect"),
    ],
)
def test_an_address_without_a_scheduler_is_told_within_seconds(
    write, card, events, monkeypatch, address, reason
):
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    start = time.monotonic()
    found = message(read_on_cluster, card, [write(events)], scheduler=address)
    assert found.startswith(f"no scheduler answers at {address!r}: {reason}")
    assert "\n" not in found
    assert time.monotonic() - start < 20


def test_a_port_that_never_answers_is_no_scheduler(write, card, events, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        found = message(read_on_cluster, card, [write(events)], scheduler=address)
    assert found.startswith(f"no scheduler answers at {address!r}: what listens there")


def test_settings_that_make_no_sense_are_refused(card):
    with pytest.raises(UserError, match="1 entry or more, got step=0"):
        read_on_cluster(card, ["x.root"], step=0)
    options: dict[str, Any]
    for options in ({"workers": 0}, {"workers": 2, "scheduler": "tcp://host:1"}):
        expected = f"workers={options['workers']} is a number of processes"
        with pytest.raises(UserError, match=re.escape(expected)):
            read_on_cluster(card, ["x.root"], **options)


def test_jets_of_one_file_only_are_enough(write, card, events, threads):
    jets = ("Jet_pt", "Jet_eta", "Jet_phi", "Jet_label")
    nothing = {**events, **{k: ak.unflatten(events[k][0][:0], [0] * 4) for k in jets}}
    files = [write(nothing, "a.root"), write(events, "b.root")]
    expected = read.read(card, files)
    assert [source.jets for source in expected.sources] == [0, 4]
    assert_same(read_on_cluster(card, files, scheduler=threads), expected)


def test_a_scheduler_that_goes_away_is_told(write, rich, monkeypatch):
    files = [write(many_events(first), f"{first}.root") for first in (0, 300)]
    plain = cluster._unpack
    monkeypatch.setattr(cluster, "CONNECT", 1.0)  # for so long its return is hoped for
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp",
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        silence_logs=logging.CRITICAL,
    ) as running:
        address = str(cast("Any", running).scheduler_address)

        def closes(parcel):
            if "chunk" in (content := plain(parcel)):
                running.close()
            return content

        monkeypatch.setattr(cluster, "_unpack", closes)
        found = message(
            read_on_cluster, rich, files, scheduler=address, step=50, patience=5.0
        )
    assert found.startswith(f"the scheduler {address!r} went away while entries")
