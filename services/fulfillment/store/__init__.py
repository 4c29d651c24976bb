"""Tables and migrations of fulfillment."""
