"""What each job type does: a function `async (ctx, data) -> result`, found by `registry.load()`."""
