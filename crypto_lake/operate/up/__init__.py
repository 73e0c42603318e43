"""`crypto-lake up`: the collector and Dagster under one supervisor, with `--simulate` the bundled exchange too."""
