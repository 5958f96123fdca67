"""Questions about a driver's state, and their answers as plain data: the same for a running driver, a recording and a bundle."""
