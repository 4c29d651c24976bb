"""The HTTP side of the gateway: every rpc by its google.api.http binding, problem documents, OpenAPI, webhooks."""
