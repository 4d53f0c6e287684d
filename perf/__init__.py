"""Load, baselines and measurements of the service; nothing else imports this package."""
