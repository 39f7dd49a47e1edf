"""The decisions: pure state machines that take data and `now` and return data.

Imports `schemas` and the standard library only; import-linter holds it.
"""
