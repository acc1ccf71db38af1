"""The rows of `FAMILIES`, a file for each kind, and how each kind's shapes are read."""
