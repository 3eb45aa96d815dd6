"""What silmu uses of statsmodels, which comes without types."""
