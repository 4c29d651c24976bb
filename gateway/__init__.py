"""The doors: HTTP for the contracts, a dialect for each channel, accounts and keys. A service like the others."""
