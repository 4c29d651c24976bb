"""The returns service; see README.md."""
