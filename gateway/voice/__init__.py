"""The voice: what others are told by us. Webhooks to subscribers, quantities and parcels to channels."""
