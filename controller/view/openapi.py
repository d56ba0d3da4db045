"""The OpenAPI description of `inhand rest`, made from the protocol's own types."""

from collections.abc import Iterable
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, get_args

import msgspec

from inhand.controller.core.requests import AnyRequest

STATUS_OF = {
    "refused": 409,
    "not_ready": 409,
    "no_policy": 409,
    "policy": 409,
    "unsupported": 409,
    "queue_full": 429,
    "busy": 429,
    "readonly": 403,
    "forbidden": 403,
    "too_large": 413,
}
"""HTTP status of the protocol's error codes; all others are 400."""

_ERROR = {
    "type": "object",
    "properties": {
        "ok": {"const": False},
        "error": {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        },
    },
    "required": ["ok", "error"],
}
_OF_PROTOCOL = ("v", "id", "type")


def openapi(names: Iterable[str]) -> dict[str, Any]:
    """The description of these requests, OpenAPI 3.1."""
    kinds = {kind.__struct_config__.tag: kind for kind in get_args(AnyRequest)}
    chosen = {name: kinds[name] for name in names}
    schemas, components = msgspec.json.schema_components(
        chosen.values(), ref_template="#/components/schemas/{name}"
    )
    paths: dict[str, Any] = {}
    for (name, kind), reference in zip(chosen.items(), schemas, strict=True):
        own = components[reference["$ref"].rpartition("/")[2]]
        for member in _OF_PROTOCOL:
            own["properties"].pop(member, None)
        own["required"] = [x for x in own.get("required", []) if x not in _OF_PROTOCOL]
        paths[f"/{name}"] = _path(name, kind, reference)
    return {
        "openapi": "3.1.0",
        "info": {"title": "inhand", "version": version("inhand")},
        "paths": paths,
        "components": {
            "schemas": {**components, "Error": _ERROR},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _path(name: str, kind: type, reference: dict[str, Any]) -> dict[str, Any]:
    reply = {"application/json": {"schema": {"type": "object"}}}
    failed = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": (kind.__doc__ or name).splitlines()[0],
        "responses": {
            "200": {"description": "the daemon's reply", "content": reply},
            **{
                str(status): {"description": HTTPStatus(status).phrase, "content": failed}
                for status in sorted({400, 401, 503, *STATUS_OF.values()})
            },
        },
    }
    if name in ("status", "events"):
        if name == "events":
            operation["parameters"] = [
                {"name": "since", "in": "query", "schema": {"type": "integer", "minimum": 0}}
            ]
        return {"get": operation}
    operation["requestBody"] = {"content": {"application/json": {"schema": reference}}}
    return {"post": operation}
