"""Parcels before they leave, and what carriers bill after: ParcelsService."""
