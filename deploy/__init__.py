"""What a platform team installs Argosy with; `generate.py` makes what follows from the chart."""
