"""What a step takes and gives: annotations, and how values, parameters and edges are checked against them."""
