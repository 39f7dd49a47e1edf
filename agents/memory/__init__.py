"""Tierflow in one process, for the unit tests of job authors: `agents/in_memory.py` is the door.

Here is what stands for Kafka and the engine under the real router and the real workers; nothing of theirs.
"""
