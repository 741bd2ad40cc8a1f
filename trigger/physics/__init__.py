"""Trigger physics: efficiencies, ROCs, working points, rates, turn-ons, clocks."""
