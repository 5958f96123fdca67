"""The wire: Felix's protobuf schema, framing, decoding into frozen values, recordings. Imports nothing else of ours."""
