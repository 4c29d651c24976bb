"""Tables and migrations of orders."""
