"""The ledger: what came in against what became of it, from the topics alone and against Postgres.

Derived by reading, not counted by the stages: a stage that loses a record and one that does not count it are
the same defect, so its own word proves nothing; and the hot path pays nothing.
"""
