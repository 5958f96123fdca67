"""The tests; they mirror the packages of the product."""
