"""Many fits: models x strategies x data sets x splits x seeds, from a file."""
