"""Kafka and Faust: topics, codec, settings, metrics, the exactly-once transport, and the pure core."""
