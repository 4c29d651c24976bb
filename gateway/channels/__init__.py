"""Dialects: what a channel delivers, understood as commands. Pure: no database, no calls."""
