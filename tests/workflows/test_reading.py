"""However the files are read, the sample is the same."""

from importlib.resources import files

import numpy as np
import pytest

from trigger.errors import UserError
from workflows.reading import reader, serial
from workflows.recipes.samples import L1

FILES = [str(files("workflows") / "data" / "l1_sample.root")]


@pytest.fixture(scope="module")
def plain():
    return serial(L1, FILES, "fail")


def same(a, b):
    assert np.array_equal(a.event, b.event)
    assert np.array_equal(a.label, b.label)
    assert np.array_equal(a.column("pt"), b.column("pt"))
    assert a.cuts == b.cuts
    assert a.sources == b.sources


def test_the_cache_is_written_once_and_gives_the_same(plain, tmp_path):
    read = reader(cache=tmp_path / "kept")
    same(read(L1, FILES, "fail"), plain)
    before = sorted((tmp_path / "kept").rglob("*.parquet"))
    same(read(L1, FILES, "fail"), plain)
    assert before
    assert sorted((tmp_path / "kept").rglob("*.parquet")) == before


def test_a_cluster_that_is_not_there_is_told():
    read = reader(cluster="tcp://127.0.0.1:9")
    with pytest.raises(UserError, match=r"127\.0\.0\.1:9"):
        read(L1, FILES, "fail")


def test_cache_and_cluster_are_not_for_one_read(tmp_path):
    with pytest.raises(UserError, match="give one of them"):
        reader(cache=tmp_path, cluster="")
