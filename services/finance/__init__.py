"""The finance service; see README.md."""
