"""The datum store: immutable values addressed by their compute key, in memory or in a folder."""
