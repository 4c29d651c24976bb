"""Tables and migrations of finance."""
