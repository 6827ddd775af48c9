"""Displays without a user's window: `png` and `none`. See README.md."""
