"""Decisions: pure, synchronous."""
