"""The experiment: ROOT trees, jets, link words and interfaces, event splits, clocks."""
