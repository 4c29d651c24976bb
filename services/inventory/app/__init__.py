"""What answers the rpcs and events of inventory, a file a use case."""
