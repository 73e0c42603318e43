"""How Binance says it: frames, requests, answers, its archive, its limits."""
