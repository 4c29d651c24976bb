"""Process managers of the gateway: pure decisions, their own messages and effects."""
