import dataclasses
import os
import weakref

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
from equal_samples import assert_same

from trigger.datasets import read, stored
from trigger.datasets.cache import cached, entry_for
from trigger.datasets.card import Column, Cut, ParticleList
from trigger.datasets.formats import propose
from trigger.datasets.stored import OBJECTS, open_stored
from trigger.errors import UserError


@pytest.fixture
def small(write, events):
    """A file of four events; the card of the folder's fixtures reads it."""
    return write(events)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "made" / "cache"


def test_particles_survive_with_units_and_empty_lists(write, events, card, folder):
    events["PF_pt"] = ak.Array([[1.0, 3.0], [], [], [2.0]])
    events["PF_jet"] = ak.Array([[1, 1], [], [], [0]])
    particles = ParticleList((Column("pt", "PF_pt", "GeV"),), index="PF_jet")
    card = dataclasses.replace(card, constituents=particles)
    path = write(events)
    found = cached(card, [path], folder=folder, step=1)
    assert_same(found, read.read(card, [path]))
    # a chunk for each event, that without jets too
    table = pq.ParquetFile(next(folder.glob("*-*")) / OBJECTS)
    rows = [table.metadata.row_group(i).num_rows for i in range(table.num_row_groups)]
    assert rows == [2, 1, 0, 1]


def test_an_entry_streams_the_chunks_that_were_read(sample, folder):
    card = propose(sample)
    direct = list(read.chunks(card, [sample], step=20_000))
    again = list(entry_for(card, [sample], folder=folder, step=20_000).chunks())
    assert len(direct) == len(again) > 2
    for one, two in zip(direct, again, strict=True):
        assert ak.array_equal(one.objects, two.objects, check_parameters=True)
        assert np.array_equal(one.event, two.event)
        assert (one.source, one.cuts) == (two.source, two.cuts)


def test_memory_does_not_grow_with_the_number_of_chunks(
    small, card, folder, monkeypatch
):
    plain, alive = stored.chunks, []

    def chunks(*args, **options):
        seen = []
        for _ in range(50):
            for chunk in plain(*args, **options):
                seen.append(weakref.ref(chunk))
                yield chunk
                del chunk
                alive.append(sum(ref() is not None for ref in seen))

    monkeypatch.setattr(stored, "chunks", chunks)
    entry = entry_for(card, [small], folder=folder, step=1)
    assert len(alive) == 200
    assert max(alive) <= 1  # the one that the writer has just written
    assert len(list(entry.chunks())) == 200


def test_an_entry_opens_without_files_and_without_a_card(small, card, folder):
    expected = read.read(card, [small])
    entry = entry_for(card, [small], folder=folder).folder
    os.unlink(small)
    found = open_stored(entry).sample()
    assert found.card == card
    assert_same(found, expected)
    edited = dataclasses.replace(card, selection=(Cut("pt", ">", 40.0),))
    with pytest.raises(UserError, match="is of another card than 'jets' is now"):
        open_stored(entry, edited)
    with pytest.raises(UserError, match=r"is no cache: its manifest.json cannot be"):
        open_stored(entry.with_name("elsewhere"))
