"""Learn by doing: a policy from the rewards of an environment."""
