"""What orders asks others for, behind ports."""
