"""The listing says all that a netlist computes: it is evaluated as it stands there."""

import re

import numpy as np
from every_operation import every_operation, every_word
from hypothesis import given
from random_netlists import all_words, netlists
from tiny_block import NETLIST

from firmware import interpret
from firmware.listing import listing

TINY = """\
n0  in a            -8..7  s4
n1  in b            0..7   u3
n2  t0[n0]          0..7   u3  lut1
n3  n1 >> 1         0..3   u2  lut1
n4  t1[n3]          -3..2  s3  lut1
n5  n2 + n4         -3..9  s5  lut1
n6  clip(n5, 0, 5)  0..5   u3  code1
t0 from -8: 3 0 7 2 5 1 6 4 4 4 0 1 7 7 2 3
t1 from 0: -3 1 0 2
out y = n6
out z = n5
"""


def low(value, bits, kind="plain"):
    value %= 1 << bits
    return value - (1 << bits) if kind == "signed" and value >> (bits - 1) else value


def evaluate(lines, ports, words):
    """What the listing says, read as arithmetic by Python itself."""
    tables, formulas, leaving = {}, [], []
    for line in lines:
        if found := re.fullmatch(r"(t\d+) from (-?\d+): (.*)", line):
            entries = map(int, found[3].split())
            tables[found[1]] = dict(enumerate(entries, int(found[2])))
        elif found := re.fullmatch(r"out \w+ = (n\d+)", line):
            leaving.append(found[1])
        else:
            name, formula = re.split(r"\s{2,}", line)[:2]
            formula = re.sub(r"(\w+) \? (\w+) : (\w+)", r"(\2 if \1 else \3)", formula)
            formulas.append((name, formula.replace("signed", "'signed'")))
    names = {"low": low, "clip": lambda a, lo, hi: min(max(a, lo), hi), **tables}
    rows = []
    for event in words.tolist():
        known = dict(zip(ports, event, strict=True))
        values = {}
        for name, formula in formulas:
            if formula.startswith("in "):
                values[name] = known[formula[3:]]
            else:
                values[name] = int(eval(formula, names, values))
        rows.append([values[name] for name in leaving])
    return np.array(rows, np.int64)


def test_a_small_block_reads_as_it_was_drawn():
    assert "".join(line + "\n" for line in listing(NETLIST)) == TINY


def agrees(netlist, words):
    ports = [netlist.nodes[i].name for i in netlist.inputs]
    seen = evaluate(listing(netlist), ports, words)
    assert np.array_equal(seen, interpret.run(netlist, words))


def test_every_operation_reads_as_what_it_computes():
    agrees(every_operation(), every_word()[::7])


@given(netlists())
def test_a_listing_is_what_the_netlist_computes(netlist):
    agrees(netlist, all_words(netlist)[::5])
