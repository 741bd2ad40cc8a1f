"""The integer program and everything made from it: RTL, emulators, proofs, bundle."""
