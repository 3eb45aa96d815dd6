"""Forecasts of series, judged by a rolling origin."""
