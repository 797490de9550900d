"""What every test relies on."""

from hypothesis import settings

# A failure must come back when the test is run again, and a busy machine must not make one.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
# To look for more: pytest --hypothesis-profile=search
settings.register_profile("search", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("repeatable")
