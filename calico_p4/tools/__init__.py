"""Tools for recorded Felix streams: read, edit, judge, shrink and record them."""
