"""What several test packages share; imported as ``from test.support import ...``."""
