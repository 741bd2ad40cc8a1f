"""One small sample that many tests look at, and what needs the optional packages."""

import pytest


@pytest.fixture(scope="session")
def sample(tmp_path_factory):
    """A thousand jets, as `jetlut data generate --n-jets 1000 --seed 5` makes them."""
    from trigger.generate.run import generate
    from trigger.generate.settings import Settings

    out = tmp_path_factory.mktemp("jets") / "jets.root"
    return generate(Settings(n_jets=1000, seed=5), out, compressed="zstd:1")
