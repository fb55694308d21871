"""What went wrong, for a reader who asked for a fit and not for a traceback."""


def sentence(error: Exception) -> str:
    """What went wrong, in one sentence; with the type of an error that is not of our own words."""
    text = " ".join(str(error).split())
    ours = isinstance(error, (ValueError, FloatingPointError, ImportError, OSError)) and text
    return text if ours else f"{type(error).__name__}: {text}".removesuffix(": ")
