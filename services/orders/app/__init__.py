"""What answers the rpcs and events of orders, a file a use case."""
