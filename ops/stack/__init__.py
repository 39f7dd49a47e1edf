"""The local stack: real Kafka, PostgreSQL and Valkey and all roles as child processes.

What belongs here: finding or fetching the servers, starting, watching and stopping processes, and the state
that `tierflow status` shows. What does not: anything that a deployed Tierflow needs; a role started here is
started by the same command and environment variables as in a container.
"""
