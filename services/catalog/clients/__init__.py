"""Ports to the other services."""
