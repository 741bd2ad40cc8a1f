"""Marks for tests of simulators that not every machine has; the reason is printed."""

import pytest

from firmware import tools


def _mark(tool):
    return pytest.mark.skipif(bool(tool.missing), reason=tool.missing or "is there")


ghdl = _mark(tools.ghdl())
icarus = _mark(tools.icarus())
