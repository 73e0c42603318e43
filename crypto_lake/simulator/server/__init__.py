"""The sockets of the bundled exchange, and what goes wrong with them on request.

Here belongs what a connection does; what is said over it comes from `simulator/binance`.
"""
