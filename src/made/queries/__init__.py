"""Questions: conditionals, marginals, events, imputation, explanations."""
