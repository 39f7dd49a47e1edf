"""The outside world, a module or folder per system: HTTP, Kafka clients, Postgres, Redis, providers."""
