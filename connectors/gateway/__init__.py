"""The HTTP gateway: who may ask, what holds, and a record on Kafka before any 201. It runs no job."""
