"""A fleet: what several hosts need to work on one lake. See `docs/FLEET.md`."""
