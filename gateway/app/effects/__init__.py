"""What processes of the gateway ask of other services."""
