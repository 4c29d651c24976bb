"""What answers the rpcs of the gateway."""
