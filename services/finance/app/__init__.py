"""What answers the rpcs and events of finance, a file a use case."""
