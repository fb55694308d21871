"""A comparison as a folder."""
