"""The engine: an exactly-once Faust transport on confluent-kafka.

Here belongs what lies between the broker and an agent: polling, steps, tables, transactions, recovery.
What an agent does with a record, topic names and codecs do not.

Threads: Faust's loop (agents, steps, tables) | `consume` (polling, rebalance callbacks)
| `transact` (transactions) | `recover` (committed offsets, changelogs) | `watchdog`.
A handle of confluent-kafka holds one lock while it polls, so each handle belongs to one thread.
"""
