"""Machine descriptions that ship with Southbridge."""
