"""Data sets: what is in the files of a group, said once in a card, and read by it."""
