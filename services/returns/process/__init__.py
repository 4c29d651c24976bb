"""The process manager of returns."""
