"""The only Dagster code: partitions, resources, assets, asset checks and automation around the core.

An asset resolves its partitions, calls the core, reports metadata. What it knows it asks the files. No rule of the lake
belongs here: what is made, when it is stale and whether it is right is decided in the rooms below.
"""
