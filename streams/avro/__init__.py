"""Plain Python that writes and reads one record type in Avro, made from its schema.

The generated functions know every field and every branch, so they are three to eight times as fast as the
compiled library, which walks the schema for each record. The bytes are the same (property tests hold it).
A reader may also be made for a few fields: the others are checked and skipped.
What belongs here: what our contracts use, which is numbers, booleans, texts, bytes, records, arrays, maps
and unions of null and one other type. What does not: frames, and records of an older schema: that is
`streams/codec.py`.
"""
