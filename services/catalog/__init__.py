"""The catalog service; see README.md."""
