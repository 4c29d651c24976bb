"""Tables and migrations of the gateway."""
