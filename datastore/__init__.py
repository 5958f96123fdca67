"""What is wanted and what is there: the intent store, the id allocator, the desired/actual tracker."""
