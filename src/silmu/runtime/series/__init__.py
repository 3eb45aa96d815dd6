"""Time series: columns of cells as regular series, and how a network reads them."""
