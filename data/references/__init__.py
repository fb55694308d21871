"""Reference posteriors: the problems in `problems.toml`, and in a sealed JSON file each what runs of record found."""
