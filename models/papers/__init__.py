"""The five papers, a file to each."""
