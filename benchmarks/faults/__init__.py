"""What fails around the service, tried for real: `python -m benchmarks.faults`."""
