"""What rules mean: pure functions from model values to model values, without input or output."""
