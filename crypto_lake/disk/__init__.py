"""How a finished file appears, is read, mended and verified. What is in the files is not known here."""
