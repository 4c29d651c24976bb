"""The only code that knows all services: the command line, the demo day, the proof."""
