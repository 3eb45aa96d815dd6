"""Policies, judged by whole episodes: what they earn beside chance and beside doing nothing."""
