"""What the pytest plugin does, one noun to a module."""
