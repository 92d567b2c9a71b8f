"""`make bench`: this project's speed against the released code's way of doing the same, on one machine."""
