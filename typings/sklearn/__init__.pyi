"""What silmu uses of scikit-learn, which comes without types."""
