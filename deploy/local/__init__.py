"""A whole fleet as processes on this machine, in one folder: to try it, and to test it.

`plan` says what there is to run, `servers` how PostgreSQL, Redis and the store are made, `supervisor` keeps all of it
going. On real hosts none of this runs: see `deploy/compose.yaml`, `deploy/k8s/`, `deploy/systemd/`.
"""
