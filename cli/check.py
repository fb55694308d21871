"""``noisezoo check``: what is wrong with a noise."""

import typer

from .console import FAILED, PriorArgument, one_sentence, say
from .show import show_noise


def check(prior: PriorArgument) -> None:
    """Tell the author of a noise what is wrong with it, or show its prior."""
    with one_sentence():
        from ..models.catalogue import noise
        from ..models.check import WARNING, check_noise

        found = noise(prior)
        said = check_noise(found)
        problems = [sentence for sentence in said if not sentence.startswith(WARNING)]
        for sentence in said:
            say(f"{found.name}: {sentence}", "red" if sentence in problems else "yellow")
        if problems:
            raise typer.Exit(FAILED)
        if not said:
            say(f"{found.name}: nothing is wrong with it.", "green")
        show_noise(found, None)
