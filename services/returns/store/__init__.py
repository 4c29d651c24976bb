"""Tables and migrations of returns."""
