"""``python -m noisezoo`` is ``noisezoo``."""

from .cli import app

if __name__ == "__main__":
    app()
