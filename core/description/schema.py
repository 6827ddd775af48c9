"""The JSON Schema (draft 2020-12) of machine descriptions, for whatever plugins are installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from ..boot import FIRMWARE, PROTOCOLS
from ..cpu_models import model_names
from ..discovery import KINDS, load, names, summary
from ..errors import PluginError
from ..numa import FARTHEST, LOCAL, MOST_NODES
from ..properties import Configurable, property_model
from ..smbios.identity import LONGEST_TEXT, TEXTS
from .loader import SECTIONS, shipped
from .model import AUTO, HOST_CPU, ID, LONGEST_ID, MOST_CPUS, ON_INTERNAL_ERROR

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def description_schema(broken: Callable[[PluginError], None]) -> Schema:
    """The schema. `broken` is told of each plugin that can't be loaded, and is left out."""
    definitions: Schema = {}
    required: dict[str, list[tuple[str, list[str]]]] = {}
    for kind in ("accelerators", *SECTIONS):
        required[kind] = []
        for name in names(kind):
            try:
                cls = load(kind, name)
            except PluginError as error:
                broken(error)
                continue
            definitions[f"{kind}.{name}"] = _plugin(name, cls, definitions)
            required[kind].append((name, [key for key, spec in cls.properties().items() if spec.required]))
    return {
        "$schema": DIALECT,
        "title": "Southbridge machine description",
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "description": "What to call it."},
            "extends": {
                "type": "string",
                "description": "A description that this one is laid over: one that is shipped, or a file's path.",
                "examples": list(shipped()),
            },
            "accelerator": _accelerator([name for name, _ in required["accelerators"]]),
            "on_internal_error": {
                "enum": list(ON_INTERNAL_ERROR),
                "description": "What happens when an accelerator can't go on executing the guest: the machine stops, "
                "or the next accelerator of the list takes over.",
            },
            "cpu": {
                "anyOf": [{"enum": [*model_names(), HOST_CPU]}, {"type": "string", "pattern": "^[^,]+,"}],
                "description": "The CPU model, whichever accelerator runs it; host is all that the host's CPU has. "
                "Features to add and take away may follow, as in qemu64,+popcnt,-svm.",
            },
            "cpus": {"type": "integer", "minimum": 1, "maximum": MOST_CPUS, "description": "How many there are."},
            "maxcpus": {
                "type": "integer",
                "minimum": 1,
                "maximum": MOST_CPUS,
                "description": "How many there may be, once all are plugged in; by default as many as there are.",
            },
            "memory": {
                "type": ["integer", "string"],
                "description": "The size of the guest's RAM, a multiple of 4 KiB.",
                "examples": ["256M"],
            },
            "numa": _NUMA,
            **_IDENTITY,
            **_BOOT,
            **{section: _section(section, [name for name, _ in required[section]]) for section in SECTIONS},
        },
        "additionalProperties": False,
        # What a description extends may have given a part's type and properties already.
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": {section: _complete(required[section]) for section in SECTIONS}},
        "$defs": definitions,
    }


_NUMA: Schema = {
    "description": "Which CPUs and which memory are near each other.",
    "type": ["object", "null"],
    "properties": {
        "nodes": {
            "description": "The nodes. Together they have the machine's memory; CPUs that none has are the first's.",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_NODES,
            "items": {
                "type": "object",
                "properties": {
                    "memory": {"type": ["integer", "string"], "examples": ["128M"]},
                    "cpus": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": MOST_CPUS - 1}},
                },
                "additionalProperties": False,
            },
        },
        "distances": {
            "description": "How far each node, a row, is from each: 10 from itself, 11 to 255 from others.",
            "type": ["array", "null"],
            "items": {"type": "array", "items": {"type": "integer", "minimum": LOCAL, "maximum": FARTHEST}},
        },
    },
    "required": ["nodes"],
    "additionalProperties": False,
}

_UUID: Schema = {
    "type": ["string", "null"],
    "pattern": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "description": "What tells it from every other machine.",
}

_IDENTITY: Schema = {
    "uuid": _UUID,
    "smbios": {
        "description": "What the machine says of itself to firmware, operating systems and inventories.",
        "type": ["object", "null"],
        "properties": {
            **{name: {"type": ["string", "null"], "pattern": "^[ -~]*$", "maxLength": LONGEST_TEXT} for name in TEXTS},
            "uuid": _UUID,
        },
        "additionalProperties": False,
    },
}

_BOOT: Schema = {
    "firmware": {
        "enum": list(FIRMWARE),
        "description": "What begins: the firmware in the machine's ROM, or the kernel.",
    },
    "kernel": {"type": "string", "minLength": 1, "description": "A kernel to boot: bzImage, ELF or Multiboot."},
    "initrd": {"type": "string", "minLength": 1, "description": "Its initial RAM disk, or Multiboot module."},
    "cmdline": {"type": "string", "description": "Its command line."},
    "boot_protocol": {"enum": list(PROTOCOLS), "description": "How it is entered; auto: as its file suggests."},
}


def _plugin(name: str, cls: type[Configurable], definitions: Schema) -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of defaults that JSON doesn't have, such as paths
        schema = property_model(cls).model_json_schema(ref_template="#/$defs/{model}")
    for key, definition in schema.pop("$defs", {}).items():
        definitions.setdefault(key, definition)
    properties = schema.get("properties", {})
    return {
        "description": summary(cls),
        "type": "object",
        "properties": {
            "type": {**_type_name(name), "description": summary(cls)},
            **{key: _property(schema, cls.properties()[key].section) for key, schema in properties.items()},
        },
        "required": ["type"],
        "additionalProperties": False,
    }


def _property(schema: Schema, link: str | None) -> Schema:
    """A property's schema: null, too, says that it isn't given."""
    about: Schema = {key: schema.pop(key) for key in ("description", "default", "examples") if key in schema}
    schema.pop("title", None)
    if link is not None:
        about["description"] += f" The id of one of the {link}."
    if {"type": "null"} not in schema.get("anyOf", []):
        schema = {"anyOf": [schema, {"type": "null"}]}
    return {**about, **schema}


def _type_name(*known: str) -> Schema:
    """A type that is one of `known`; YAML's null is the type of that name."""
    if "null" in known:
        return {"enum": [*known, None]}
    return {"const": known[0]} if len(known) == 1 else {"enum": list(known)}


def _accelerator(known: list[str]) -> Schema:
    one: list[Schema] = [
        {"enum": [AUTO, *known]},
        *({"$ref": f"#/$defs/accelerators.{name}"} for name in known),
    ]
    return {
        "description": "What runs the CPU: auto, one, or a list to try in order.",
        "anyOf": [*one, {"type": "array", "minItems": 1, "items": {"anyOf": one}}],
    }


def _section(section: str, known: list[str]) -> Schema:
    """A mapping from ids to parts; which properties a part has depends on its type."""
    part: Schema = {"type": "null"}
    if known:
        part = {
            "type": ["object", "null"],
            "properties": {"type": {**_type_name(*known), "description": f"What kind of {KINDS[section][0]} it is."}},
            "allOf": [_if_type(name, {"$ref": f"#/$defs/{section}.{name}"}) for name in known],
        }
    return {
        "description": f"The machine's {section}, by id.",
        "type": "object",
        "propertyNames": {"pattern": f"^{ID.pattern}$", "maxLength": LONGEST_ID},
        "additionalProperties": part,
    }


def _complete(required: list[tuple[str, list[str]]]) -> Schema:
    """What a part must have where nothing is extended."""
    part: Schema = {"type": "object", "required": ["type"]}
    conditions = [_if_type(name, {"required": keys}) for name, keys in required if keys]
    if conditions:
        part["allOf"] = conditions
    return {"additionalProperties": part}


def _if_type(name: str, then: Schema) -> Schema:
    # What isn't an object has every property that one likes: hence its own type, too.
    return {"if": {"type": "object", "properties": {"type": _type_name(name)}, "required": ["type"]}, "then": then}
