"""The questions people ask: views, SQL, Python."""
