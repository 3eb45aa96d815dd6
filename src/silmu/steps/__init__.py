"""The six steps: collect, prepare, design, train, evaluate; each reads only those before it."""
