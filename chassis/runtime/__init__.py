"""What a running service stands on: database, writer, outbox and inbox, bus, effects, rpc server, host."""
