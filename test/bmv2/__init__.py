"""Tests of the program on BMv2's simple_switch_grpc: skipped where CALICO_P4_BMV2 names none."""
