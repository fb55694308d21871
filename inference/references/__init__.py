"""Reference posteriors that come with the package: which problems, their files, and how they were made."""
