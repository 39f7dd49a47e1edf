"""The monitor: looks at brokers and read models from outside and exports what it sees; does no work."""
