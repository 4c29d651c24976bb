"""The inventory service; see README.md."""
