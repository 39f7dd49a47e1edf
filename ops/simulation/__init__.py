"""The deterministic simulator: the real core on a model of Kafka, the engine and the world outside.

What belongs here: the model, its faults, the invariants, the planted bugs. No clock, no I/O, no real server.
"""
