"""Tables and migrations of catalog."""
