"""Statistics: arrays in, results out. Knows no experiment, no store and no orchestrator."""
