"""Benchmarks: how fast the engine, a job's whole way and an idle stack are, beside peers on the same Kafka.

What belongs here: what `tierflow bench` runs, each engine in a process of its own, measured from outside by
the kernel's and Kafka's own counters. What does not: tests. A figure here decides nothing about right or
wrong; the conformance suite does.
"""
