"""The tables of parcels: cartons, origins, what is packed, labels, manifests; what carriers say and bill."""

from sqlalchemy import BigInteger, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from services.fulfillment.store.tables import METADATA

NOT_HANDED_OVER = text("status = 2 AND manifest_id = ''")
NUMBERED = text("tracking_number <> ''")
NAMED = text("reference <> ''")

# From where locations ship; the address is the contract's as JSON. It is a company's, not a person's.
ORIGINS = Table(
    "origins", METADATA,
    Column("location_id", String(40), primary_key=True),
    Column("address", Text, nullable=False),
    Column("tax_id", String(40), nullable=False),
)  # fmt: skip

CARTONS = Table(
    "cartons", METADATA,
    Column("carton", String(40), primary_key=True),
    Column("length_mm", BigInteger, nullable=False),
    Column("width_mm", BigInteger, nullable=False),
    Column("height_mm", BigInteger, nullable=False),
    Column("most_weight_g", BigInteger, nullable=False),
    Column("tare_g", BigInteger, nullable=False),
)  # fmt: skip

PARCELS = Table(
    "parcels", METADATA,
    Column("parcel_id", String(40), primary_key=True),
    Column("fulfillment_order_id", String(40), nullable=False),
    Column("order_id", String(40), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("carton", String(40), nullable=False),
    Column("weight_g", BigInteger, nullable=False),
    Column("computed_weight_g", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("label_status", Integer, nullable=False),
    Column("label_failure", Text, nullable=False),
    Column("label_url", Text, nullable=False),
    # The carrier's or provider's own name of the label.
    Column("label_reference", String(100), nullable=False),
    Column("carrier", String(60), nullable=False),
    Column("service", String(60), nullable=False),
    Column("tracking_number", String(100), nullable=False),
    Column("freight_minor", BigInteger, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("country_code", String(2), nullable=False),
    Column("shipment_id", String(40), nullable=False),
    Column("manifest_id", String(40), nullable=False),
    Column("packed_by", String(100), nullable=False),
    Column("packed_at", BigInteger, nullable=False),
    Index("ix_parcels_fulfillment_order", "fulfillment_order_id", "parcel_id"),
    Index("ix_parcels_location", "location_id", "parcel_id"),
    Index("ix_parcels_manifest", "manifest_id", "parcel_id"),
    Index("ix_parcels_open", "location_id", "carrier", postgresql_where=NOT_HANDED_OVER, sqlite_where=NOT_HANDED_OVER),
)  # fmt: skip

PARCEL_LINES = Table(
    "parcel_lines", METADATA,
    Column("parcel_id", String(40), primary_key=True),
    Column("line_id", String(40), primary_key=True),
    Column("quantity", BigInteger, nullable=False),
)  # fmt: skip

MANIFESTS = Table(
    "manifests", METADATA,
    Column("manifest_id", String(40), primary_key=True),
    Column("location_id", String(40), nullable=False),
    Column("carrier", String(60), nullable=False),
    Column("parcels", Integer, nullable=False),
    Column("weight_g", BigInteger, nullable=False),
    Column("closed_at", BigInteger, nullable=False),
    Column("closed_by", String(100), nullable=False),
    Column("form_status", Integer, nullable=False),
    Column("form_url", Text, nullable=False),
    Column("form_failure", Text, nullable=False),
    Index("ix_manifests_location", "location_id", "manifest_id"),
)  # fmt: skip

# What carriers say of parcels, each thing once.
TRACKING = Table(
    "tracking", METADATA,
    Column("shipment_id", String(40), primary_key=True),
    Column("occurred_at", BigInteger, primary_key=True),
    Column("status", String(20), primary_key=True),
    Column("detail", Text, nullable=False),
    Column("place", Text, nullable=False),
)  # fmt: skip

# What carriers bill, each line of a bill once, beside what was quoted.
CHARGES = Table(
    "freight_charges", METADATA,
    Column("charge_id", String(40), primary_key=True),
    Column("carrier", String(60), nullable=False),
    Column("bill_number", String(100), nullable=False),
    Column("line_id", String(100), nullable=False),
    Column("shipment_id", String(40), nullable=False, index=True),
    Column("tracking_number", String(100), nullable=False),
    Column("location_id", String(40), nullable=False),
    Column("quoted_minor", BigInteger, nullable=False),
    Column("billed_minor", BigInteger, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("recorded_at", BigInteger, nullable=False),
    UniqueConstraint("carrier", "bill_number", "line_id"),
    Index("ix_freight_charges_recorded_at", "recorded_at"),
    Index("ix_freight_charges_carrier", "carrier", "charge_id"),
)  # fmt: skip

# Lines of bills for parcels that nobody knows yet.
EARLY_CHARGES = Table(
    "early_charges", METADATA,
    Column("charge_id", String(40), primary_key=True),
    Column("carrier", String(60), nullable=False),
    Column("bill_number", String(100), nullable=False),
    Column("line_id", String(100), nullable=False),
    Column("tracking_number", String(100), nullable=False),
    Column("reference", String(100), nullable=False),
    Column("location_id", String(64), nullable=False),
    Column("billed_minor", BigInteger, nullable=False),
    Column("currency_code", String(3), nullable=False),
    Column("recorded_at", BigInteger, nullable=False, index=True),
    Index("ix_early_charges_number", "tracking_number", postgresql_where=NUMBERED, sqlite_where=NUMBERED),
    Index("ix_early_charges_reference", "reference", "location_id", postgresql_where=NAMED, sqlite_where=NAMED),
)  # fmt: skip
