"""What is said of a value of ``data.`` that cannot be."""

from typing import Any


def check_choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    """Raises ValueError unless ``data.<name>`` is one of those allowed."""
    if value not in allowed:
        *others, last = (str(choice).lower() for choice in allowed)
        raise ValueError(f"data.{name} must be {', '.join(others)} or {last}, got '{value}'")


def check_positive(**counts: int | None) -> None:
    """Raises ValueError unless all of ``data.<name>`` that are not null are at least 1."""
    for name, value in counts.items():
        if value is not None and value < 1:
            raise ValueError(f"data.{name} must be at least 1, got {value}")
