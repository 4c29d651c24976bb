"""The process manager of fulfillment: labels."""
