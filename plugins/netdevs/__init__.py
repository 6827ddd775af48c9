"""Network back ends and filters."""
