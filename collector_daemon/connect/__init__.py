"""Open connections, keep them, replace them, and hand on what they bring.

Here belongs all that knows of sockets, attempts and addresses. What a frame means is decided in `decide`.
"""
