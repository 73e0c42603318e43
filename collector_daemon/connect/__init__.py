"""Connections: opening, keeping, replacing them, and handing on what they bring."""
