"""What answers the rpcs and events of returns, a file a use case."""
