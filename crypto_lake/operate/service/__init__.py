"""Start at boot: what the system's own supervisor is told (Windows Task Scheduler, systemd, launchd). No Dagster here.

`plan` says what shall run, `windows`, `systemd` and `launchd` how each system wants to hear it (all four pure),
`here` looks at this machine, and `setup` writes the files and calls the system's tool.
"""
