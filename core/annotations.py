"""What a value must satisfy besides its type, as marks in `Annotated` that pydantic understands.

    Byte = Annotated[int, Within(0, 0xFF)]
    Guid = Annotated[str, Checked(check_guid)]

pydantic's own `Field`, `AfterValidator` and so on do as well. But importing pydantic takes much of the time in which a
machine starts, and one whose description is right doesn't need it: see `quick_check`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Within:
    """A number from `least` to `most`. `lenient`: in a place that isn't strict by itself, a text may be one."""

    def __init__(self, least: int, most: int, *, lenient: bool = False) -> None:
        self.least = least
        self.most = most
        self._lenient = lenient

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        strict = {} if self._lenient else {"strict": True}
        return {**handler(source), "ge": self.least, "le": self.most, **strict}


class Length:
    """A list, text or bytes of `least` to `most` items."""

    def __init__(self, least: int, most: int) -> None:
        self.least = least
        self.most = most

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return {**handler(source), "min_length": self.least, "max_length": self.most, "strict": True}


class Strict:
    """Nothing is converted to the type, even where conversions are usual."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        return {**handler(source), "strict": True}


class Checked:
    """A value that `function`, called when it has the type, gives back; else it raises ValueError."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import no_info_after_validator_function

        return no_info_after_validator_function(self.function, handler(source))


class Converted:
    """What `function` makes of any value, unless it raises ValueError, has the type. `schema` is the JSON Schema."""

    def __init__(self, function: Callable[[Any], Any], schema: dict[str, Any]) -> None:
        self.function = function
        self._schema = schema

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core.core_schema import no_info_before_validator_function

        return no_info_before_validator_function(self.function, handler(source))

    def __get_pydantic_json_schema__(self, core_schema: Any, handler: Callable[[Any], Any]) -> dict[str, Any]:
        return dict(self._schema)
