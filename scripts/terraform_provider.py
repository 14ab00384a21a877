"""
A stand-in for Terraform's Google provider: `terraform_provider.py SCHEMA`, started by Terraform itself.

It has the real one's schema (see `terraform_schema.py`), so that Terraform's own `validate` and `plan` judge a module
as they would with it; and it makes nothing: it has no `apply`. What the real provider would find out only when a thing
is there stands in a plan as `TYPE/NAME@PLACE#ATTRIBUTE`, which tells what refers to what (`@PLACE` where it is said), and a number as
the checksum of that.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import msgpack
import tf.provider
from tf.gen import tfplugin_pb2 as pb
from tf.gen import tfplugin_pb2_grpc as rpc

_NESTING = {"single": pb.Schema.NestedBlock.SINGLE, "list": pb.Schema.NestedBlock.LIST, "set": pb.Schema.NestedBlock.SET}  # fmt: skip
_WRITE_ONLY = b"\x58\x01"
"""Field 11 of an attribute, `write_only`, set: version 6.8 of the protocol has it, the generated code is of an older one."""
_NAMED_BY = ("name", "account_id", "bucket", "repository_id", "secret_id", "service", "secret", "role_id")
_PLACED_BY = ("region", "location")
_MOST_BYTES = 256 << 20
"""The most that a message of a provider's may have, as the framework of Terraform's own providers allows it."""

Json = dict[str, Any]  # Any: JSON


class Provider(rpc.ProviderServicer):  # type: ignore[misc] # generated code has no types
    """What Terraform asks of a provider to validate and to plan; whatever else it might ask is unimplemented."""

    def __init__(self, schema: Json) -> None:
        self._schema = schema

    def GetMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802 - names of the protocol, here and below
        """Return what it can do."""
        return pb.GetMetadata.Response(server_capabilities=pb.ServerCapabilities(plan_destroy=False))

    def GetProviderSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return the schema."""
        resources = {name: _schema(one) for name, one in self._schema["resource_schemas"].items()}
        return pb.GetProviderSchema.Response(
            provider=_schema(self._schema["provider"]), resource_schemas=resources
        )

    def ValidateProviderConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing that the schema does not say."""
        return pb.ValidateProviderConfig.Response()

    def ValidateResourceConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing that the schema does not say."""
        return pb.ValidateResourceConfig.Response()

    def ConfigureProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing to do."""
        return pb.ConfigureProvider.Response()

    def PlanResourceChange(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Return what was asked for, with a word for each text that only the thing itself could tell."""
        asked = msgpack.unpackb(request.proposed_new_state.msgpack)
        block = self._schema["resource_schemas"][request.type_name]["block"]
        planned = {**asked, **_told(request.type_name, block, asked)}
        return pb.PlanResourceChange.Response(
            planned_state=pb.DynamicValue(msgpack=msgpack.packb(planned)),
        )

    def StopProvider(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Nothing to do."""
        return pb.StopProvider.Response()


def _told(kind: str, block: Json, asked: Json) -> Json:
    """Values of what was not asked for."""
    name = next((asked[key] for key in _NAMED_BY if isinstance(asked.get(key), str)), "")
    place = next((asked[key].lower() for key in _PLACED_BY if isinstance(asked.get(key), str)), "")
    where = f"@{place}" if place else ""
    told = {
        key: _word(f"{kind}/{name}{where}#{key}", one["type"])
        for key, one in block["attributes"].items()
        if one.get("computed")
        and asked.get(key) is None
        and (one["type"] == "string" or not one.get("optional"))
    }
    return {key: value for key, value in told.items() if value is not None} | {
        key: None for key, one in block["attributes"].items() if one.get("write_only")
    }


def _word(text: str, kind: Any) -> Any:  # Any: a type as Terraform writes it, and a value of it
    if kind == "string":
        return text
    if kind == "number":
        return zlib.crc32(text.encode())
    if isinstance(kind, list) and kind[0] == "list" and isinstance(kind[1], list) and kind[1][0] == "object":
        return [{key: _word(f"{text}.{key}", inner) for key, inner in kind[1][1].items()}]
    return None


def _schema(given: Json) -> Any:
    return pb.Schema(version=given["version"], block=_block(given["block"]))


def _block(given: Mapping[str, Any]) -> Any:
    return pb.Schema.Block(
        attributes=[_attribute(name, one) for name, one in given.get("attributes", {}).items()],
        block_types=[
            pb.Schema.NestedBlock(
                type_name=name,
                block=_block(one["block"]),
                nesting=_NESTING[one["nesting_mode"]],
                min_items=one.get("min_items", 0),
                max_items=one.get("max_items", 0),
            )
            for name, one in given.get("block_types", {}).items()
        ],
    )


def _attribute(name: str, given: Json) -> Any:
    flags = {key: given.get(key, False) for key in ("required", "optional", "computed")}
    made = pb.Schema.Attribute(name=name, type=json.dumps(given["type"]).encode(), **flags)
    if given.get("write_only"):
        made.MergeFromString(_WRITE_ONLY)
    return made


class _Nameless:
    """What `run_provider` asks of the framework's own kind of provider."""

    def full_name(self) -> str:
        return "google"


def main() -> None:
    """Serve until Terraform has enough."""
    from tf.runner import run_provider

    # gRPC's own limit is 4 MiB, and a plan asks of an object with homeport's wheel in it twice: as it is, and as it should be.
    grpc.server = partial(grpc.server, options=[("grpc.max_receive_message_length", _MOST_BYTES), ("grpc.max_send_message_length", _MOST_BYTES)])  # fmt: skip
    schema = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    # The framework serves providers of its own kind; its server is wanted here, with the protocol as it is.
    tf.provider.ProviderServicer = lambda _: Provider(schema)
    run_provider(_Nameless(), sys.argv[:1])


if __name__ == "__main__":
    main()
