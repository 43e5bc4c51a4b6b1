"""From probabilities to the labels that are likely wrong, and a page to look at them."""
