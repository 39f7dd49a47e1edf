"""One stream stage in three engines: consume, decode Avro, decide, one output, committed.

`work` is the same for all of them and needs fastavro only, because a peer may run in an environment of its
own.
"""
