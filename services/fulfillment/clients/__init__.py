"""What fulfillment asks others."""
