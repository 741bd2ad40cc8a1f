"""Recipes, runs, tracking, reports and the command line."""
