"""What ``check`` says of a noise."""


def test_check_says_what_is_wrong_or_shows_the_prior(noisezoo, mine):
    assert "nothing is wrong" in noisezoo("check", f"{mine}:lognormal")
    assert "returns shape (3,)" in noisezoo("check", f"{mine}:of_one_shape", code=1)
    assert "negative" in noisezoo("check", f"{mine}:negative", code=1)
