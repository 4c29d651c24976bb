"""The six services. Each owns one truth, and none imports another."""
