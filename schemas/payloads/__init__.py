"""The data contracts of the job types and events, a module per queue."""
