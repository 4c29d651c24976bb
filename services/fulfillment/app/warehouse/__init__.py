"""Work inside a location: WarehouseService."""
