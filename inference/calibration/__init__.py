"""Simulation-based calibration: is an inference right on average over data that the model itself makes?"""
