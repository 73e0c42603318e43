"""The sockets that say it, and what goes wrong with them on request."""
