"""What returns asks others."""
