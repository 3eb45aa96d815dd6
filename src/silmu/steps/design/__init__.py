"""Step 3: a network, and what it will cost: parameters, memory, time to train and to answer."""
