"""Properties: what a user may set on a plugin, declared once as annotated class attributes.

    class Uart16550(Device):
        iobase: int = Property(0x3F8, ge=0, le=0xFFF8, doc="First of eight ports.")
        chardev: CharBackend = Link("chardevs", doc="Where the bytes go.")

From the declarations come the validation of descriptions, the JSON Schema and the listings. Values are validated by
pydantic before an object is constructed (`quick_check` spares it what is plainly right); the object then has them as
plain attributes.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from .annotations import Converted
from .quick_check import UNSURE, makes_sense, quickly
from .units import parse_size

if TYPE_CHECKING:
    from pydantic import BaseModel

REQUIRED: Any = ...


def _path(value: object) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value:
        raise ValueError("expected a file's path")
    return Path(value).expanduser()


Size = Annotated[
    int,
    Converted(parse_size, {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string"}], "examples": ["256M"]}),
]
"""A number of bytes, written as an integer or as "256M"."""

FilePath = Annotated[Path, Converted(_path, {"type": "string", "format": "path"})]
"""A file's path; relative ones are relative to the description that names them."""


@dataclass(repr=False, eq=False)
class PropertySpec:
    """The declaration of one property. `section` is set for a link: the part of the description that its id is in.

    `live`: it may change while the machine runs.
    """

    default: Any
    doc: str
    section: str | None = None
    constraints: dict[str, Any] = field(default_factory=dict)
    live: bool = False

    @property
    def required(self) -> bool:
        """Whether a description must give a value."""
        return self.default is REQUIRED


def Property(default: Any = REQUIRED, *, doc: str, live: bool = False, **constraints: Any) -> Any:
    """Declares a property; `live`: it may change while the machine runs, by being set.

    `constraints` are pydantic's: `ge`, `le`, `multiple_of`, `min_length`, `pattern`, ...
    """
    return PropertySpec(default, doc, constraints=constraints, live=live)


def Link(section: str, default: Any = REQUIRED, *, doc: str) -> Any:
    """Declares a property whose value is the id of another part of the machine, such as a back end.

    `section` is the part of the description where the id is looked up: "devices", "blockdevs", "chardevs", "netdevs".
    The constructed object has the linked object itself as its attribute, or None where `default` is None and no id
    was given.
    """
    return PropertySpec(default, doc, section=section)


class Configurable:
    """Something that a description configures: a device, a back end, an accelerator.

    A subclass that declares a property's name again as a plain attribute takes the property away.
    """

    _specs: ClassVar[dict[str, PropertySpec]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, PropertySpec)}
        plain = (vars(cls).keys() | vars(cls).get("__annotations__", {}).keys()) - own.keys()
        bases = [base for base in reversed(cls.__bases__) if issubclass(base, Configurable)]
        inherited = {name: spec for base in bases for name, spec in base._specs.items() if name not in plain}
        cls._specs = {**inherited, **own}

    def __init__(self, **values: Any) -> None:
        """Takes validated values; those left out have their defaults.

        Raises TypeError for a name that isn't a property, or a required one that is missing.
        """
        for name, spec in self._specs.items():
            value = values.pop(name, spec.default)
            if value is REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {name!r}")
            setattr(self, name, value)
        if values:
            raise TypeError(f"{type(self).__name__} has no property {sorted(values)[0]!r}")

    @classmethod
    def properties(cls) -> Mapping[str, PropertySpec]:
        """The declared properties by name, base classes' first."""
        return cls._specs


def declared_type(cls: type, name: str) -> Any:
    """The annotation of attribute `name`, evaluated where its class was defined; other attributes' are left alone."""
    for base in cls.__mro__:
        annotation = inspect.get_annotations(base).get(name)
        if annotation is not None:
            if isinstance(annotation, str):
                return eval(annotation, vars(sys.modules[base.__module__]))
            return annotation
    raise TypeError(f"{cls.__name__}.{name} has no annotation")


def _property_type(cls: type[Configurable], name: str, spec: PropertySpec) -> Any:
    """What a description gives for a property: for a link an id, a string."""
    if spec.section is None:
        return declared_type(cls, name)
    return str | None if spec.default is None else str


class InvalidProperties(Exception):
    """Values that don't fit the declarations. `errors` has what is wrong with them, as pydantic says it."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__(errors[0]["msg"])
        self.errors = errors


def valid_properties(cls: type[Configurable], values: Mapping[str, Any]) -> dict[str, Any]:
    """All properties of a `cls`: `values` with types converted, and defaults. Raises InvalidProperties."""
    specs = cls.properties()
    found = {name: spec.default for name, spec in specs.items()}
    for name, value in values.items():
        spec = specs.get(name)
        kind = None if spec is None else _property_type(cls, name, spec)
        found[name] = UNSURE if spec is None else quickly(kind, value, spec.constraints)
    if any(value is UNSURE or value is REQUIRED for value in found.values()):
        return _validated(cls, values)
    return found


def _validated(cls: type[Configurable], values: Mapping[str, Any]) -> dict[str, Any]:
    from pydantic import ValidationError

    try:
        model = property_model(cls).model_validate(dict(values))
    except ValidationError as error:
        raise InvalidProperties(error.errors()) from None
    return {name: getattr(model, name) for name in cls.properties()}


def check_declarations(cls: type[Configurable]) -> None:
    """Raises whatever it is if the declarations make no sense."""
    for name, spec in cls.properties().items():
        if not makes_sense(_property_type(cls, name, spec), spec.constraints):
            property_model(cls)
            return


_models: dict[type[Configurable], type[BaseModel]] = {}


def property_model(cls: type[Configurable]) -> type[BaseModel]:
    """The pydantic model that validates what a description says of a `cls`."""
    if cls not in _models:
        from pydantic import ConfigDict, Field, create_model

        fields: dict[str, Any] = {
            name: (_property_type(cls, name, spec), Field(spec.default, description=spec.doc, **spec.constraints))
            for name, spec in cls.properties().items()
        }
        _models[cls] = create_model(cls.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)
    return _models[cls]
