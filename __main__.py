"""``noisezoo`` and ``python -m noisezoo``: the command line, which may be interrupted at any moment."""

from . import interrupt


def main() -> None:
    """Run the command of the command line, and end the process."""
    interrupt.listen()
    from .cli import app

    try:
        app()
    except KeyboardInterrupt:
        interrupt.leave(interrupt.INTERRUPTED)
    except SystemExit as end:
        interrupt.leave(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)


if __name__ == "__main__":
    main()
