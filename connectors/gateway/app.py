"""The application, built from its parts: no global, no environment, nothing happens at import.

A dialect for an older client is another router beside the canonical one, over the same Acceptance.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from connectors.gateway import (
    about,
    events,
    failed,
    health,
    job_orders,
    jobs,
    queue_orders,
    queues,
    rate_limits,
)
from connectors.gateway.acceptance import Acceptance
from connectors.gateway.health import Checks
from connectors.gateway.observed import observed
from connectors.gateway.parts import Parts
from connectors.gateway.problems import answer

Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def create_app(parts: Parts, lifespan: Sequence[Lifespan] = ()) -> Litestar:
    """The ASGI application. `lifespan` opens and closes what the parts need."""
    api = Router(
        about.API,
        route_handlers=[
            jobs.router,
            job_orders.router,
            events.router,
            queues.router,
            queue_orders.router,
            failed.router,
            rate_limits.router,
            health.router(),
        ],
    )
    app = Litestar(
        [api, health.router(), about.about, about.openapi, about.docs, about.prometheus],
        exception_handlers={Exception: answer},
        state=_state(parts),
        lifespan=list(lifespan),
        cors_config=_cors(parts.cors_origins),
        openapi_config=_openapi(),
        # Bodies are read, counted and refused by `body.read_json`, which knows each endpoint's limit.
        request_max_body_size=None,
        logging_config=None,
    )
    app.asgi_handler = observed(app.asgi_handler, parts.metrics)
    return app


def _state(parts: Parts) -> State:
    members: dict[str, Any] = {
        "parts": parts,
        "acceptance": Acceptance(parts),
        "checks": Checks(parts.probes, parts.metrics),
    }
    return State(members, deep_copy=False)


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    """Which pages may call us with the user's cookie: those listed, and none by default."""
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["authorization", "content-type", "idempotency-key", "x-request-id", "traceparent"],
        expose_headers=["x-request-id", "retry-after"],
        # Never together with "everyone": that would hand each user's cookie to every page.
        allow_credentials="*" not in origins,
        max_age=600,
    )


def _openapi() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Tierflow",
        version=version("tierflow"),
        path="/schema",
        use_handler_docstrings=True,
        render_plugins=[JsonRenderPlugin()],
        components=Components(
            security_schemes={"bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")}
        ),
        security=[{"bearer": []}],
    )
