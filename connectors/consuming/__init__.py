"""The loop of a plain consumer whose target keeps the offsets beside what it wrote; knows no target."""
