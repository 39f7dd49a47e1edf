"""The command line: one module per noun, each with a click command named `command`."""
