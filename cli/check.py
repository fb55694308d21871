"""``noisezoo check``: what is wrong with a noise."""

import typer

from .console import FAILED, PriorArgument, one_sentence, print_line, print_table
from .show import show_noise


def check(prior: PriorArgument) -> None:
    """Tell the author of a noise what is wrong with it, or show its prior and which strategies run under it."""
    with one_sentence():
        from ..inference.runs.applicable import in_words, refusals
        from ..models.catalogue import noise
        from ..models.check import WARNING, check_noise

        checked = noise(prior)
        messages = check_noise(checked)
        problems = [sentence for sentence in messages if not sentence.startswith(WARNING)]
        for sentence in messages:
            print_line(f"{checked.name}: {sentence}", "red" if sentence in problems else "yellow")
        if problems:
            raise typer.Exit(FAILED)
        if not messages:
            print_line(f"{checked.name}: nothing is wrong with it.", "green")
        show_noise(checked, None)
        print_table("Strategies", ("", ""), in_words(refusals(checked)), header=False)
