"""What answers the rpcs and events of fulfillment, a file a use case."""
