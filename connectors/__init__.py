"""The outside world, one module or folder per system: HTTP, Kafka clients, Postgres, Redis, providers. Never faust."""
