"""How a service runs. Holds no business noun."""
