"""One file per exchange: its endpoints, its wire format, its REST interface. Nothing else knows an exchange."""
