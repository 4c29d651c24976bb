"""The commands of `argosy` beside those that run it, a file for each kind."""
