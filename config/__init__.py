"""Configuration: TOML profiles, the environment and the command line, made into one immutable, checked `Config`."""
