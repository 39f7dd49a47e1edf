"""`GET /`, `/openapi.json`, `/docs`, and Prometheus's page: what the gateway tells about itself."""

from html import escape
from importlib.metadata import version
from typing import Any

from litestar import MediaType, Request, Response, get
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from connectors.gateway.parts import parts_of
from connectors.gateway.roles import WATCHERS, allow
from connectors.gateway.type_schemas import with_data_schemas

Call = Request[Any, Any, Any]
API = "/api/v1/queue"

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>
<h1>{title} {version}</h1><p><a href="/openapi.json">OpenAPI document</a></p>
<table><thead><tr><th>Method<th>Path<th>Does</thead><tbody>
{rows}
</tbody></table></html>
"""


@get("/", include_in_schema=False)
async def about() -> dict[str, Any]:
    """Say what this is and where to go."""
    return {
        "name": "tierflow",
        "version": version("tierflow"),
        "api": API,
        "openapi": "/openapi.json",
        "docs": "/docs",
        "health": "/health",
    }


@get("/openapi.json", include_in_schema=False)
async def openapi(request: Call) -> dict[str, Any]:
    """Give the OpenAPI document."""
    return with_data_schemas(request.app.openapi_schema.to_schema(), parts_of(request).available)


@get("/docs", include_in_schema=False, media_type=MediaType.HTML)
async def docs(request: Call) -> str:
    """Give the endpoints as a page that needs nothing from elsewhere."""
    document = request.app.openapi_schema.to_schema()
    info = document["info"]
    rows = [
        f"<tr><td>{escape(method.upper())}<td><code>{escape(path)}</code><td>{escape(_purpose(operation))}"
        for path, item in sorted(document["paths"].items())
        for method, operation in item.items()
    ]
    return _PAGE.format(
        title=escape(info["title"]), version=escape(info["version"]), rows="\n".join(rows)
    )  # fmt: skip


@get(["/metrics", f"{API}/metrics", f"{API}/metrics/prometheus"], guards=[allow(WATCHERS)], tags=["metrics"])
async def prometheus(request: Call) -> Response[bytes]:
    """Give this process's series in Prometheus's text format."""
    return Response(
        generate_latest(parts_of(request).registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
    )


def _purpose(operation: dict[str, Any]) -> str:
    return str(operation.get("description") or operation.get("summary") or "")
