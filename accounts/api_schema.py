"""What all operations of the OpenAPI document share: the error shape and the headers."""

from __future__ import annotations

from typing import Any

from accounts.idempotency import HEADER, KEY_MAX

_TEXT_OR_NULL = {"type": ["string", "null"]}
FAULT = {
    "type": "object",
    "required": ["code", "message", "field", "value"],
    "properties": {
        "code": {"type": "string", "description": "Stable, for programs"},
        "message": {"type": "string", "description": "For people: what is wrong and what would be right"},
        "field": {**_TEXT_OR_NULL, "description": "Path of the field, such as params.lower"},
        "value": {**_TEXT_OR_NULL, "description": "What was refused; never a secret"},
    },
}
ERROR = {
    "type": "object",
    "required": ["detail"],
    "properties": {
        "detail": {"$ref": "#/components/schemas/Fault"},
        "errors": {
            "type": "array",
            "items": {"$ref": "#/components/schemas/Fault"},
            "description": "All of several faults; `detail` is the first",
        },
    },
}
ANSWER = {
    "description": "Refused or failed",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}


KEYLESS = ("/preview/", "/edit-preview/", "/rearm/")  # nothing is written; or a password is sent, which isn't kept
WORKSPACE_HEADER = {
    "name": "X-Workspace",
    "in": "header",
    "schema": {"type": "string", "format": "uuid"},
    "description": "Work in another of your workspaces than the first",
}
KEY_HEADER = {
    "name": HEADER,
    "in": "header",
    "schema": {"type": "string", "maxLength": KEY_MAX},
    "description": "Of your choice: the same call with the same key within 24 hours is done once and answered again",
}


def describe_all(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Hook of drf-spectacular: add the error shape as every operation's `default` answer, and the shared headers."""
    result["components"].setdefault("schemas", {}).update(Fault=FAULT, Error=ERROR)
    for path, methods in result["paths"].items():
        for method, operation in methods.items():
            operation["responses"].setdefault("default", ANSWER)
            if "/auth/" in path:
                continue
            operation.setdefault("parameters", []).append(WORKSPACE_HEADER)
            if method == "post" and not path.endswith(KEYLESS):
                operation["parameters"].append(KEY_HEADER)
    return result
