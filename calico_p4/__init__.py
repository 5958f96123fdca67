"""The program: driver loop, P4Runtime client, push order, port inventory, replay and the command line."""
