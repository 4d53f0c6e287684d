"""The load: pictures, calls with their right answers, clients, faults. Tests use it, too."""
