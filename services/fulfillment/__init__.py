"""The fulfillment service; see README.md."""
