import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trigger.decision import ARGMAX, Decision
from trigger.errors import UserError

decisions = st.just(ARGMAX) | st.builds(Decision, st.integers(), st.text())


@given(decisions, st.integers(-20, 20))
def test_reading_undoes_writing_through_json(decision, exponent):
    document = json.loads(json.dumps(decision.to_dict(2.0**exponent)))
    assert Decision.from_dict(document) == decision


def test_the_value_of_a_threshold_is_its_count_times_the_lsb():
    document = Decision(-3, "one in a hundred").to_dict(0.25)
    assert document["threshold_value"] == -0.75


@pytest.mark.parametrize("document", [None, [], "argmax ", {"rule": "most"}, {}])
def test_a_rule_that_is_not_known_is_refused(document):
    with pytest.raises(UserError, match="should be 'argmax' or 'at least', got"):
        Decision.from_dict(document)


@pytest.mark.parametrize(
    "wrong",
    [{"threshold": 1.0}, {"threshold": True}, {"threshold": None}, {"meaning": 3}],
)
def test_a_threshold_is_an_integer_and_has_a_meaning(wrong):
    document = Decision(3, "x").to_dict(1.0) | wrong
    with pytest.raises(UserError, match="an integer 'threshold' and a text 'meaning'"):
        Decision.from_dict(document)
