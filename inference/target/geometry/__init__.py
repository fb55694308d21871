"""The shape of a posterior: coordinates in which it is about a standard normal, and how they are found."""
