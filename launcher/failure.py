"""What stops the launcher, as one sentence for the person who started it."""


class LaunchError(Exception):
    """Starting is impossible; the message says why and what to do."""
