"""Replays that a CI suite judges by: golden rows and verdicts, budgets of time, determinism, reports."""
