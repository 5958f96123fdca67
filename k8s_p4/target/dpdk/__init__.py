"""The pipeline executed by DPDK's SWX library instead of Python: the same `.spec`, the same P4Runtime server in front.

Needs Debian's `libdpdk-dev` (22.11), a C compiler and two internal headers of the same release's source (`build`); nothing of DPDK is
part of this package. One process starts DPDK once, with ordinary memory and no device.
"""
