"""Recipes and the changed copies that `--set` makes of them."""

import dataclasses
import re
from pathlib import Path

import pytest

from trigger.errors import UserError
from workflows import cli
from workflows.commands import compile, front, run, show, synth, verify
from workflows.override import override, settings
from workflows.recipes import MODULES, load


@pytest.fixture(scope="module")
def recipe():
    return load("jsc_hlf")


def value(recipe, path):
    return {name: v for name, _, v in settings(recipe)}[path]


@pytest.mark.parametrize(
    ("change", "path", "wanted"),
    [
        ("budget.luts=800", "budget.luts", 800),
        ("budget.latency_ns=25", "budget.latency_ns", 25.0),
        ("budget.latency_ns = 2.5e1", "budget.latency_ns", 25.0),
        ("seed=7", "seed", 7),
        ("data.fractions=0.5,0.2,0.3", "data.fractions", (0.5, 0.2, 0.3)),
        ("data.files=a.root,b.root", "data.files", ("a.root", "b.root")),
        ("data.files=a=b.root", "data.files", ("a=b.root",)),
        ("data.card.tree=Jets", "data.card.tree", "Jets"),
        ("weights.classes=true", "weights.classes", True),
        ("network.head=12,8", "network.head", (12, 8)),
        ("firmware.pad_latency_to=8", "firmware.pad_latency_to", 8),
        ("firmware.clock_enable=true", "firmware.clock_enable", True),
        ("firmware.ports=flat", "firmware.ports", "flat"),
    ],
)
def test_an_override_takes_the_type_of_its_setting(recipe, change, path, wanted):
    changed = value(override(recipe, [change]), path)
    assert changed == wanted
    assert type(changed) is type(wanted)


def test_an_override_leaves_the_other_settings_and_the_original_alone(recipe):
    before = list(settings(recipe))
    after = override(recipe, ["budget.luts=801"])
    assert list(settings(recipe)) == before
    assert [row for row in settings(after) if row[0] != "budget.luts"] == [
        row for row in before if row[0] != "budget.luts"
    ]


def test_every_setting_can_be_set_to_the_value_it_has(recipe):
    for path, _, now in settings(recipe):
        text = ",".join(map(str, now)) if isinstance(now, tuple) else str(now)
        assert override(recipe, [f"{path}={text}"]) == recipe


def test_of_two_overrides_of_one_setting_the_last_holds(recipe):
    assert override(recipe, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("budget.lut=800", "no setting 'budget.lut'; nearest are 'budget.luts'"),
        ("bugdet.luts=800", "no setting 'bugdet.luts'; nearest are 'budget.luts'"),
        ("budget.luts", "'budget.luts' has no '='"),
        ("budget=3", "'budget' of recipe 'jsc_hlf' is a group of settings"),
        ("budget.luts=many", "'budget.luts' takes an integer, got 'many', .* text"),
        ("budget.luts=1.5", "takes an integer, got '1.5', which is a number"),
        ("budget.latency_ns=fast", "takes a number, got 'fast', which is text"),
        ("budget.latency_ns=1e999", "not finite"),
        ("budget.luts=-1", "budget.luts must be above 0, got -1"),
        ("data.fractions=0.5,0.5", "takes 3 values with commas between"),
        ("data.fractions=0.5,0.5,0.5", "1 in sum"),
        ("words.bits=64", "1..16 bits"),
        ("firmware.max_cycles=-1", "firmware.max_cycles is a number of cycles, or 0"),
        (
            "firmware.pad_latency_to=10",
            "10 cycles are 27.8 ns at .*, above .*latency_ns",
        ),
        ("firmware.ports=round", "takes one of words, flat, got 'round'"),
        ("firmware.clock_enable=1", "takes true or false, got '1'"),
        ("name=has space", "cannot name a block"),
        ("version=1.0", "not MAJOR.MINOR.PATCH"),
        ("seed=-1", "below 0"),
    ],
)
def test_a_wrong_override_is_refused_in_one_line(recipe, change, sentence):
    with pytest.raises(UserError, match=sentence) as caught:
        override(recipe, [change])
    assert "\n" not in str(caught.value)


def test_a_block_cannot_be_padded_beyond_what_it_may_take(recipe):
    with pytest.raises(UserError, match=r"pad_latency_to=8 is above .*max_cycles=7"):
        override(recipe, ["firmware.max_cycles=7", "firmware.pad_latency_to=8"])


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UserError, match="no recipe 'jsc_hfl'; nearest are 'jsc_hlf'"):
        load("jsc_hfl")


@pytest.mark.parametrize("name", MODULES)
def test_every_recipe_is_found_under_its_own_name(name):
    recipe = load(name)
    assert recipe.name == name
    assert recipe.block == name + "_v1_0_0"


def test_the_digest_is_of_all_settings(recipe):
    assert recipe.digest() == dataclasses.replace(recipe).digest()
    assert recipe.digest() != override(recipe, ["words.tail=0.99"]).digest()


def test_folders_that_the_texts_name_are_those_that_settings_lead_to(recipe):
    readme = Path(__file__).parents[2] / "README.md"
    commands = (cli, compile, run, show, synth, verify)
    texts = [readme.read_text(), *(command.EXAMPLE for command in commands)]
    for text in texts:
        named = re.findall(r"jsc_hlf-seed1-([0-9a-f]{8})/", text)
        assert set(named) == {recipe.digest()}
    sweep = front.Sweep(prices=4, seeds=(1,), compile=6)
    named = re.findall(r"jsc_hlf-front-([0-9a-f]{8})/", front.EXAMPLE)
    short = override(recipe, ["train.epochs=20"])
    assert set(named) == {sweep.digest(short)}
