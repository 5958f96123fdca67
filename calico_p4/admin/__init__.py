"""The admin API of the running driver: the questions of `calico_p4.inspect`, asked over gRPC on a unix socket (``admin.proto``)."""
