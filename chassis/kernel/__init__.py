"""Pure pieces: ids, time, money, refusals, rule expressions. No I/O, nothing that needs a running service."""
