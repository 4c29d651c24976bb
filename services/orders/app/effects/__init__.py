"""The effects of the processes: each one batch call to another service."""
