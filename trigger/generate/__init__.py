"""Simulated jets: proton collisions, a detector, jets and their features, in a ROOT file.

Needs the optional packages `pythia8mc` and `fastjet` (`pip install 'jetlut[generate]'`).
The way of a jet goes through the files in this order: `settings`, `collisions`,
`pileup`, `detector`, `clusters`, `substructure`, `events`, `write`, `run`.
"""
