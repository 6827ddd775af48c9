"""Machine descriptions: YAML in, validated against what is installed."""

from .model import Choice, Description, Part, load

__all__ = ["Choice", "Description", "Part", "load"]
