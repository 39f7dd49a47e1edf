"""What each job type does: a function `(ctx, data) -> result`, found by `registry.load()`."""
