"""Character back ends: see README.md."""
