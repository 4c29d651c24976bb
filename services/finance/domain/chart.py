"""The chart of accounts and the posting rules of version 1, as the first migration writes them."""

ACCOUNTS = (
    ("1100", "PSP and channel clearing", "ASSET"),
    ("1200", "Receivables", "ASSET"),
    ("1300", "Inventory", "ASSET"),
    ("1310", "Inventory: inspection", "ASSET"),
    ("2100", "Customer deposits", "LIABILITY"),
    ("2110", "Refunds payable", "LIABILITY"),
    ("2200", "Tax payable", "LIABILITY"),
    ("2300", "Goods received, not invoiced", "LIABILITY"),
    ("2310", "Accrued freight", "LIABILITY"),
    ("3000", "Opening balance equity", "EQUITY"),
    ("4000", "Product revenue", "REVENUE"),
    ("4010", "Discounts", "REVENUE"),
    ("4020", "Shipping revenue", "REVENUE"),
    ("4030", "Sales returns", "REVENUE"),
    ("4900", "Adjustment gain", "REVENUE"),
    ("5000", "Cost of goods sold", "EXPENSE"),
    ("5100", "Outbound freight", "EXPENSE"),
    ("5200", "Shrinkage", "EXPENSE"),
    ("5300", "Write-off", "EXPENSE"),
)

REVENUE = ("4000", "4010", "4020", "4030")
COST = ("5000",)
FREIGHT = ("5100",)
INVENTORY = ("1300", "1310", "1320")

Line = tuple[str, str, str]

# (rule, event, condition, ((account, side, amount), …))
RULES_VERSION_1: tuple[tuple[str, str, str, tuple[Line, ...]], ...] = (
    ("opening-stock", "StockReceived", "e.kind == 'OPENING'", (("1300", "debit", "e.value_minor"), ("3000", "credit", "e.value_minor"))),
    ("purchase-receipt", "StockReceived", "e.kind == 'PURCHASE'", (("1300", "debit", "e.value_minor"), ("2300", "credit", "e.value_minor"))),
    ("adjustment", "StockAdjusted", "true", (
        ("1300", "debit", "e.gain_minor"), ("4900", "credit", "e.gain_minor"),
        ("5200", "debit", "e.loss_minor"), ("1300", "credit", "e.loss_minor"),
    )),
    ("cost-of-goods", "StockIssued", "true", (("5000", "debit", "e.value_minor"), ("1300", "credit", "e.value_minor"))),
    ("return-received", "StockReturned", "true", (("1310", "debit", "e.value_minor"), ("5000", "credit", "e.value_minor"))),
    ("disposition", "StockDispositioned", "true", (
        ("1300", "debit", "e.restocked_minor"), ("5300", "debit", "e.written_off_minor"),
        ("1310", "credit", "e.restocked_minor + e.written_off_minor"),
    )),
    ("capture", "TenderCaptured", "true", (
        ("1100", "debit", "e.amount_minor"), ("2100", "credit", "e.to_deposits_minor"), ("1200", "credit", "e.to_receivable_minor"),
    )),
    ("sale", "LinesShipped", "true", (
        ("2100", "debit", "e.from_deposits_minor"), ("1200", "debit", "e.to_receivable_minor"),
        ("4010", "debit", "e.discount_minor"), ("4000", "credit", "e.product_minor"),
        ("4020", "credit", "e.shipping_minor"), ("2200", "credit", "e.tax_minor"),
    )),
    ("deposit-refund", "DepositRefunded", "true", (("2100", "debit", "e.amount_minor"), ("1100", "credit", "e.amount_minor"))),
    ("refund-agreed", "RefundAgreed", "true", (
        ("4030", "debit", "e.product_minor"), ("4020", "debit", "e.shipping_minor"), ("2200", "debit", "e.tax_minor"),
        ("2110", "credit", "e.amount_minor"),
    )),
    ("refund-paid", "RefundPaid", "true", (("2110", "debit", "e.amount_minor"), ("1100", "credit", "e.amount_minor"))),
    ("outbound-freight", "ShipmentShipped", "true", (("5100", "debit", "e.freight_minor"), ("2310", "credit", "e.freight_minor"))),
)  # fmt: skip

ACCOUNTS_OF_STOCK = (
    ("1320", "Inventory in transit", "ASSET"),
    ("1400", "Intercompany receivable", "ASSET"),
    ("2320", "Accrued landed cost", "LIABILITY"),
    ("2330", "Trade payables", "LIABILITY"),
    ("2400", "Intercompany payable", "LIABILITY"),
    ("5310", "Inventory write-down", "EXPENSE"),
    ("5400", "Purchase price variance", "EXPENSE"),
)


def _both_ways(account: str, name: str, other: str) -> tuple[Line, ...]:
    """What goes up is debited, what goes down credited, and the other account bears the difference."""
    return (
        (account, "debit", f"e.{name}_up_minor"), (account, "credit", f"e.{name}_down_minor"),
        (other, "credit", f"e.{name}_up_minor"), (other, "debit", f"e.{name}_down_minor"),
    )  # fmt: skip


# A line may name the location it belongs to, and a rule the entity, where it is not the event's own.
RULES_OF_STOCK: tuple[tuple[str, str, str, tuple[tuple[str, ...], ...], str], ...] = (
    ("purchase-receipt", "StockReceived", "e.kind == 'PURCHASE'", (
        ("1300", "debit", "e.value_minor"), ("5400", "debit", "e.variance_up_minor"), ("5400", "credit", "e.variance_down_minor"),
        ("2300", "credit", "e.value_minor + e.variance_up_minor - e.variance_down_minor"),
    ), ""),
    ("landed-cost", "StockRevalued", "e.kind == 'LANDED_COST'", (*_both_ways("1300", "inventory", "2320"), *_both_ways("5000", "cost", "2320")), ""),
    ("receipt-cost", "StockRevalued", "e.kind == 'RECEIPT_COST'", (*_both_ways("1300", "inventory", "2300"), *_both_ways("5000", "cost", "2300")), ""),
    ("write-down", "StockRevalued", "e.kind == 'WRITE_DOWN'", (("5310", "debit", "e.inventory_down_minor"), ("1300", "credit", "e.inventory_down_minor")), ""),
    ("standard-cost", "StockRevalued", "e.kind == 'STANDARD_COST'", _both_ways("1300", "inventory", "5400"), ""),
    ("vendor-return", "StockReturnedToVendor", "true", (
        ("2330", "debit", "e.credit_minor"), ("5400", "debit", "e.variance_up_minor"), ("5400", "credit", "e.variance_down_minor"),
        ("1300", "credit", "e.value_minor"),
    ), ""),
    ("transfer-out", "TransferShipped", "e.entity == e.to_entity", (
        ("1320", "debit", "e.value_minor", "to_location_id"), ("1300", "credit", "e.value_minor"),
    ), ""),
    ("transfer-sold", "TransferShipped", "e.entity != e.to_entity", (("1400", "debit", "e.value_minor"), ("1300", "credit", "e.value_minor")), ""),
    ("transfer-bought", "TransferShipped", "e.entity != e.to_entity", (
        ("1320", "debit", "e.value_minor", "to_location_id"), ("2400", "credit", "e.value_minor"),
    ), "to_entity"),
    ("transfer-in", "TransferReceived", "true", (
        ("1300", "debit", "e.value_minor"), ("5200", "debit", "e.short_minor"), ("1320", "credit", "e.value_minor + e.short_minor"),
    ), ""),
)  # fmt: skip

# What a supplier ships for us is cost and owed at once; brought back to it, it is owed less.
RULES_OF_DROP_SHIPMENT: tuple[tuple[str, str, str, tuple[Line, ...]], ...] = (
    ("drop-ship", "DropShipped", "true", (("5000", "debit", "e.cost_minor"), ("2300", "credit", "e.cost_minor"))),
    ("drop-ship-return", "DropShipReturned", "true", (("2330", "debit", "e.credit_minor"), ("5000", "credit", "e.credit_minor"))),
)

# What a carrier bills takes up what was accrued when the parcel left; the difference is freight.
RULES_OF_FREIGHT: tuple[tuple[str, str, str, tuple[Line, ...]], ...] = (
    ("carrier-bill", "FreightBilled", "true", (
        ("2310", "debit", "e.accrued_minor"), ("5100", "debit", "e.dearer_minor"), ("2330", "debit", "e.credited_minor"),
        ("5100", "credit", "e.cheaper_minor"), ("2330", "credit", "e.billed_minor"),
    )),
)  # fmt: skip
