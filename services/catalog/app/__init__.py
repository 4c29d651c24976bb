"""What answers the rpcs and events of catalog, a file a use case."""
