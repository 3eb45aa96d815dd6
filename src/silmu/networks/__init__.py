"""Networks of our own: only what no library has in a form that is trained and saved as we need."""
