from trigger.errors import nearest


def test_nearest_lists_the_most_alike_first_and_ignores_capitals():
    names = ["Jet_eta", "run", "JET_PT", "event"]
    assert nearest("jet_pt", names, count=2) == "'JET_PT', 'Jet_eta'"


def test_nearest_of_no_names_says_so():
    assert nearest("jet_pt", []) == "nothing"
