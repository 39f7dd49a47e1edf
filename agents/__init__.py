"""Faust agents, thin: read, ask the core, write. `handlers/` has one module per family of job types."""
