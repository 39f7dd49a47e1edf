"""Bugs to be planted into the real core, by subject: each puts one function with one mistake in its place."""
