"""The pipeline: P4 sources, compiled artefacts, typed rows, the embedded target. Imports nothing else of ours."""
