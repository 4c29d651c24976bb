"""What an installation decides: addresses, databases, secrets, sampling. Read from ARGOSY_* once, at start."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

SERVICES = ("catalog", "inventory", "orders", "fulfillment", "returns", "finance", "gateway")
PORTS = {name: 7101 + index for index, name in enumerate(SERVICES)}


class Settings(BaseSettings):
    """Settings of one process; every field is an environment variable with the prefix ARGOSY_."""

    model_config = SettingsConfigDict(env_prefix="ARGOSY_")

    data_dir: Path = Field(Path("data"), description="Where embedded databases, the bus' store and secrets lie.")
    database_url: str = Field("", description="A SQLAlchemy URL with {service} in it; SQLite files in data_dir where empty.")
    nats_url: str = Field("nats://127.0.0.1:4222", description="Where the bus is.")
    host: str = Field("127.0.0.1", description="The address that ports are opened on.")
    ports: dict[str, int] = Field(default=PORTS, description="The gRPC port of each service.")
    addresses: dict[str, str] = Field(default={}, description="host:port of services that run elsewhere.")
    http_port: int = Field(8080, description="The gateway's HTTP port.")
    metrics_port: int = Field(0, description="Port for Prometheus; none where 0.")
    service_secret: str = Field("", description="Signs the tokens that services show each other; at least 32 characters.")
    trace_ratio: float = Field(0.01, ge=0, le=1, description="The share of new traces that are recorded.")
    log_level: str = Field("INFO", description="Lowest level that is logged.")
    migrate: bool = Field(True, description="Bring the database to this version's schema at start; where not, wait until somebody has.")
    notice_s: float = Field(0, ge=0, description="How long a service that goes still answers, so that balancers notice.")
    drain_s: float = Field(10, description="How long calls in flight may take at shutdown.")
    deadline_s: float = Field(5, description="The deadline of a call that brings none.")
    prove_every_s: float = Field(300, ge=0, description="How often the gateway proves the suite; never where 0.")
    allow_private_targets: bool = Field(False, description="Let webhooks and channels' APIs be at private addresses, and without TLS.")
    payment_provider_url: str = Field("", description="Where the payment provider is asked; none where empty.")
    payment_provider_secret: str = Field("", description="The key that the payment provider wants.")
    carrier_url: str = Field("", description="Where the provider of carriers' labels is asked; rate cards where empty.")
    carrier_secret: str = Field("", description="The key that the provider of carriers' labels wants.")
    smtp_url: str = Field(
        "", description="Who takes mail to customers: smtps://user:password@host, smtp:// (STARTTLS), smtp+plain://; none where empty."
    )
    public_url: str = Field(
        "", description="Where customers reach the gateway, like https://orders.example; they are sent no links where empty."
    )
    max_in_flight: int = Field(2000, description="Calls beyond this are shed, reports first.")

    def database_for(self, service: str) -> str:
        """Returns the SQLAlchemy URL of a service's own database."""
        if self.database_url:
            return self.database_url.format(service=service)
        return f"sqlite+aiosqlite:///{self.data_dir.resolve() / f'{service}.db'}"

    def address_of(self, service: str) -> str:
        """Returns host:port of a service."""
        return self.addresses.get(service) or f"{self.host}:{self.ports[service]}"
