"""What the descriptor names."""


class Engine:
    """Stands for something real."""
