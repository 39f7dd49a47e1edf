"""`pytest -p tests.compiled`: the tests run on the compiled modules, as the roles do, not on the sources."""

from ops.compiled import overlay

if not overlay.use():
    raise RuntimeError("these sources are not compiled: python -m ops.compiled.build")
