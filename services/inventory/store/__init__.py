"""Tables and migrations of inventory."""
