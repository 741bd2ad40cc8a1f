"""A folder to run recipes in."""

from pathlib import Path

import pytest
from toy_jets import CARD, write_jets

from trigger.datasets import card_text


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A working folder with jets in it, which all runs of a file share."""
    folder = tmp_path_factory.mktemp("place")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        write_jets("jets.root")
        card_text.save(CARD, Path("toy.toml"))
        yield folder
