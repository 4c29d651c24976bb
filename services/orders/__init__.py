"""The orders service; see README.md."""
