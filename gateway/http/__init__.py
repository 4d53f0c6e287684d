"""HTTP: connections, uploads, access, errors."""
