"""ACPI tables: an AML builder, the tables, and how devices contribute to them."""

from .aml import AcpiError, Aml, eisa_id, integer, string
from .build import build
from .contributions import AcpiTables
from .linker import Block, Placed, TableSet
from .publish import Published

__all__ = [
    "AcpiError",
    "AcpiTables",
    "Aml",
    "Block",
    "Placed",
    "Published",
    "TableSet",
    "build",
    "eisa_id",
    "integer",
    "string",
]
