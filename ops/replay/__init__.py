"""What `tierflow replay` says and shows: bounds in a person's words, progress, records as JSON."""
