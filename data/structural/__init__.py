"""The structural dataset: Korean requests for a frame-analysis program, and what makes and checks them."""
