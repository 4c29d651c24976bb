"""The process managers of orders: pure decisions over their own messages."""
