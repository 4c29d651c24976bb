"""Which services there are, and how each is built."""

from chassis.runtime.host import Build
from gateway.module import build as gateway
from services.catalog.module import build as catalog
from services.finance.module import build as finance
from services.fulfillment.module import build as fulfillment
from services.inventory.module import build as inventory
from services.orders.module import build as orders
from services.returns.module import build as returns

BUILDS: dict[str, Build] = {
    "catalog": catalog,
    "inventory": inventory,
    "orders": orders,
    "fulfillment": fulfillment,
    "returns": returns,
    "finance": finance,
    "gateway": gateway,
}
